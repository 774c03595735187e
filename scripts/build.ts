/** Builds what runs on plain Node: one file a program, everything in it but lmdb, whose native part can't be bundled. */
import { rm } from "node:fs/promises"
import { build } from "esbuild"

await rm("dist", { recursive: true, force: true })
await build({
  entryPoints: { main: "local/main.ts", demo: "scripts/demo.ts" },
  outdir: "dist",
  outExtension: { ".js": ".cjs" },
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  external: ["lmdb"],
  sourcemap: true,
  legalComments: "none",
  logLevel: "warning",
})
