/**
 * Builds what runs on plain Node: one file a program, everything in it but lmdb, whose native part can't be bundled,
 * and AWS's chain of credential providers, which few need and all would have to load. Each file is replaced as a
 * whole, so that a build under a running program, or beside another build, breaks neither.
 */
import { randomUUID } from "node:crypto"
import { chmod, mkdir, readdir, rename, rm, writeFile } from "node:fs/promises"
import { basename, join } from "node:path"
import { build } from "esbuild"

const OUT = "dist"

const { outputFiles } = await build({
  entryPoints: { bucketseal: "cli/main.ts", demo: "scripts/demo.ts" },
  outdir: OUT,
  outExtension: { ".js": ".cjs" },
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  banner: { js: "#!/usr/bin/env node" },
  external: ["lmdb", "@aws-sdk/credential-provider-node"],
  sourcemap: true,
  legalComments: "none",
  logLevel: "warning",
  write: false,
})

await mkdir(OUT, { recursive: true })
for (const { path, contents } of outputFiles) await replace(path, contents)
await removeOthers(new Set(outputFiles.map(({ path }) => basename(path))))

async function replace(path: string, contents: Uint8Array): Promise<void> {
  const draft = join(OUT, `.${basename(path)}.${randomUUID()}`)
  await writeFile(draft, contents)
  if (path.endsWith(".cjs")) await chmod(draft, 0o755)
  await rename(draft, path)
}

/** What former builds left. Drafts may be another build's. */
async function removeOthers(built: ReadonlySet<string>): Promise<void> {
  const others = (await readdir(OUT)).filter((name) => !built.has(name) && !name.startsWith("."))
  for (const name of others) await rm(join(OUT, name), { recursive: true, force: true })
}
