import { createServer, type Server } from "node:http"
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { CreateBucketCommand, PutObjectCommand } from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { apiClient, s3ClientOf, tokenFor } from "./api.ts"
import { bucketseal, type Ran } from "./cli-process.ts"
import { removeFolder, startStackProcess, type StackProcess } from "./stack-process.ts"

const BUCKET = "photos"
const UNKNOWN = "0d7ff3a2-7c5f-4a5f-9a60-2f6a8f1f0a11"
let stack: StackProcess
let folder: string
let reader: Record<string, string> // the variables of an identity without any right

const run = (...args: string[]): Promise<Ran> => bucketseal(args, { cwd: folder, env: stack.env })
const runAs = (env: Record<string, string>, ...args: string[]): Promise<Ran> => bucketseal(args, { cwd: folder, env })
const json = async (...args: string[]): Promise<any> => JSON.parse((await run(...args, "--json")).out) // eslint-disable-line @typescript-eslint/no-explicit-any -- answers as they come
const newKey = async (): Promise<string> => (await run("keys", "create", "a root key")).out.trim()

beforeAll(async () => {
  stack = await startStackProcess({ BUCKETSEAL_CACHE_SECONDS: "0" })
  folder = await mkdtemp(join(tmpdir(), "bucketseal-cli-"))
  await s3ClientOf(stack.env).send(new CreateBucketCommand({ Bucket: BUCKET }))
  const api = apiClient(stack.env, await tokenFor(stack.env["BUCKETSEAL_URL"] ?? "", stack.env["BUCKETSEAL_API_KEY"] ?? ""))
  const account_id = stack.env["BUCKETSEAL_ACCOUNT"]
  const { iam_id } = (await api.call("POST", "/v1/serviceids", { name: "reader", account_id })).json as { iam_id: string }
  const { apikey } = (await api.call("POST", "/v1/apikeys", { name: "k", iam_id, account_id })).json as { apikey: string }
  reader = { ...stack.env, BUCKETSEAL_API_KEY: apikey }
})

afterAll(async () => {
  await stack.stop()
  await removeFolder(stack.folder)
  await removeFolder(folder)
})

describe("bucketseal", () => {
  it("says in its help which commands there are and what its exit codes mean", async () => {
    const { code, out } = await run("--help")
    expect(code).toBe(0)
    for (const name of ["serve", "status", "keys", "authorize", "register", "notify", "seal", "open", "probe", "sweep", "retry", "census", "approve"]) expect(out).toMatch(new RegExp(`^  ${name} `, "m"))
    for (const meaning of [/0 +ok/, /1 +failed/, /2 +wrong/, /3 +not allowed/, /4 +partly/, /130 +interrupted/]) expect(out).toMatch(meaning)
  })

  it("says its version", async () => {
    const { version } = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8")) as { version: string }
    expect(await run("--version")).toMatchObject({ code: 0, out: `${version}\n` })
  })

  it.concurrent.each([
    ["", /Usage/], ["srve", /serve/], ["keys", /Usage/], ["keys list --jsn", /--jsn/], ["keys create", /name/],
    ["keys show mine", /id or its CRN|by its id/], [`keys show crn:v1:bluemix:public:kms:us-south:a/a:${UNKNOWN}:key:${UNKNOWN}`, /another/],
    ["register photos --key x", /s3:\/\/bucket/], ["register s3://photos", /--key/], ["register s3://.. --key x", /no place/],
    [`register s3://photos --key ${UNKNOWN} --settle soon`, /whole number/], ["register list me", /too many/],
    ["authorize --role King", /Reader/], ["authorize check kms.secrets.wrap", /crn/], ["authorize check kms.secrets.sing crn:v1", /action/],
    ["open", /what/], ["open s3://photos", /s3:\/\/bucket\/key/], ["open s3://photos/x --range 5-2", /FROM-TO/],
    ["open s3://photos/x --json", /--output/], ["open s3://photos/x --for s3://photos/y", /FILE/],
    ["seal", /what/], ["seal file", /--for/], ["seal s3://photos/x file", /file/], ["seal one two --for s3://photos/x", /one FILE/],
    ["seal s3://photos/x --output y", /FILE/], ["status --env nowhere", /no file nowhere/], ["serve --port=x", /BUCKETSEAL_PORT/],
  ])("%s: exit code 2, and what is right on standard error", async (line, words) => {
    const { code, out, err } = await run(...line.split(" ").filter((part) => part !== ""))
    expect([code, out]).toEqual([2, ""])
    expect(err).toMatch(words)
  })
})

describe("finding the server", () => {
  it("without any settings it says what to do, exit code 2", async () => {
    const { code, err } = await runAs({}, "status")
    expect([code, err]).toEqual([2, expect.stringContaining(". ./data/local.env")])
  })

  it("it takes ./data/local.env where the environment has nothing", async () => {
    const cwd = await mkdtemp(join(folder, "home-"))
    await mkdir(join(cwd, "data"))
    await writeFile(join(cwd, "data/local.env"), await readFile(join(stack.folder, "local.env")))
    expect((await bucketseal(["status"], { cwd })).code).toBe(0)
  })

  it("it takes the file that is named", async () => {
    expect((await runAs({}, "status", "--env", join(stack.folder, "local.env"))).code).toBe(0)
  })

  it("never does an API key of one place go to a server of another", async () => {
    const cwd = await mkdtemp(join(folder, "mixed-"))
    await mkdir(join(cwd, "data"))
    await writeFile(join(cwd, "data/local.env"), await readFile(join(stack.folder, "local.env")))
    const { code, err } = await bucketseal(["status"], { cwd, env: { BUCKETSEAL_URL: stack.env["BUCKETSEAL_URL"] ?? "" } })
    expect([code, err]).toEqual([2, expect.stringContaining("BUCKETSEAL_API_KEY isn't set in the environment")])
  })

  it("an API key goes to no other machine in clear", async () => {
    const { code, err } = await runAs({ ...stack.env, BUCKETSEAL_URL: "http://example.invalid" }, "status")
    expect([code, err]).toEqual([2, expect.stringContaining("https")])
    const allowed = await runAs({ ...stack.env, BUCKETSEAL_URL: "http://example.invalid" }, "status", "--allow-http")
    expect([allowed.code, allowed.err]).toEqual([1, expect.stringContaining("nobody answers")])
  })

  it("where nobody listens it asks whether the server runs, exit code 1", async () => {
    const { code, err } = await runAs({ ...stack.env, BUCKETSEAL_URL: `http://127.0.0.1:${await freePort()}` }, "status")
    expect([code, err]).toEqual([1, expect.stringContaining("is the server running? bucketseal serve starts one")])
  })

  it("it says so where something else answers", async () => {
    const server = createServer((_, response) => void response.end("<html>"))
    const port = await listen(server)
    const { code, err } = await runAs({ ...stack.env, BUCKETSEAL_URL: `http://127.0.0.1:${port}` }, "status")
    server.close()
    expect([code, err]).toEqual([1, expect.stringContaining("no bucketseal server")])
  })

  it("an API key that doesn't hold: exit code 3, and the key is not shown", async () => {
    const { code, out, err } = await runAs({ ...stack.env, BUCKETSEAL_API_KEY: "not-a-key-of-anybody" }, "status")
    expect([code, out, err]).toEqual([3, "", "the API key of the environment doesn't hold there\n"])
  })

  it.concurrent.each([
    ["status", "Reader"], ["keys list", "Reader"], ["keys create stolen", "Writer"], ["register list", "Reader"],
    [`authorize list`, "Reader"], ["authorize", "Reader"], [`keys delete ${UNKNOWN} --force`, "Manager"], ["open s3://photos/x", "Reader"],
  ])("%s without the right: exit code 3, and which role it takes", async (line, role) => {
    const { code, out, err } = await runAs(reader, ...line.split(" "))
    expect([code, out, err]).toEqual([3, "", expect.stringContaining(`role ${role}`)])
  })
})

describe("bucketseal keys", () => {
  it("create prints the CRN alone, and list and show know the key by id and CRN", async () => {
    const crn = await newKey()
    const id = crn.split(":").at(-1) ?? ""
    expect(crn).toMatch(/^crn:v1:bluemix:public:kms:us-south:a\/\w+:[0-9a-f-]+:key:[0-9a-f-]{36}$/)
    expect((await run("keys", "list")).out).toMatch(new RegExp(`^${id}  active`, "m"))
    expect(await json("keys", "list")).toContainEqual(expect.objectContaining({ id, name: "a root key" }))
    expect((await run("keys", "show", crn)).out).toBe((await run("keys", "show", id)).out)
    expect(await json("keys", "show", id)).toMatchObject({ crn, state: 1 })
  })

  it("a key is rotated, and not again within the hour: exit code 1", async () => {
    const key = await newKey()
    expect(await run("keys", "rotate", key)).toMatchObject({ code: 0, out: expect.stringContaining("rotated") })
    expect(await run("keys", "rotate", key)).toMatchObject({ code: 1, err: expect.stringContaining("too early") })
  })

  it("a key is disabled, enabled after its waiting time, and deleted", async () => {
    const key = await newKey()
    expect((await run("keys", "disable", key)).code).toBe(0)
    expect((await run("keys", "show", key)).out).toContain("suspended")
    expect(await run("keys", "enable", key)).toMatchObject({ code: 1, err: expect.stringContaining("30 seconds") })
    expect(await json("keys", "delete", key)).toMatchObject({ done: "deleted" })
    expect(await json("keys", "show", key)).toMatchObject({ state: 5 })
  })

  it("an unknown key: exit code 1", async () => {
    expect(await run("keys", "show", UNKNOWN)).toMatchObject({ code: 1, out: "", err: expect.stringMatching(/key/) })
  })

  it("a name with controls reaches the terminal spelt out, as text and as JSON", async () => {
    const name = "red \u001b[31m\u202e end\u009b1m"
    const { out } = await run("keys", "create", name, "--json")
    expect((JSON.parse(out) as { name: string }).name).toBe(name)
    for (const shown of [out, (await run("keys", "list")).out]) {
      expect(shown).toContain(String.raw`red \u001b[31m\u202e end\u009b1m`)
      expect(shown).not.toMatch(/[\u001b\u202e\u009b]/u)
    }
  })
})

describe("bucketseal authorize and register", () => {
  it("without an authorization register says the command that makes it, and that is right", async () => {
    const key = await newKey()
    const refused = await run("register", `s3://${BUCKET}`, "--key", key)
    expect([refused.code, refused.out]).toEqual([3, ""])
    const [, command = ""] = /^bucketseal (authorize .+)$/m.exec(refused.err) ?? []
    const made = await run(...command.split(" "))
    expect(made.code).toBe(0)
    expect((await run("register", `s3://${BUCKET}`, "--key", key)).code).toBe(0)
    expect((await run("authorize", "remove", made.out.trim())).code).toBe(0)
    expect((await run("register", `s3://${BUCKET}`, "--key", key)).code).toBe(3)
  })

  it("an authorization is made once, listed, and removed once", async () => {
    const { code, out } = await run("authorize")
    expect([code, out]).toEqual([0, expect.stringMatching(/^[0-9a-f-]{36}\n$/)])
    expect((await run("authorize")).out).toBe(out)
    expect((await run("authorize", "list")).out).toContain(`${out.trim()}  Reader  cloud-object-storage → kms`)
    expect(await json("authorize", "list")).toContainEqual(expect.objectContaining({ id: out.trim() }))
    expect((await run("authorize", "remove", out.trim())).code).toBe(0)
    expect(await run("authorize", "remove", out.trim())).toMatchObject({ code: 1, err: expect.stringContaining("no such policy") })
  })

  it("check answers by exit code: 0 allowed, 3 not, with the command that would allow it", async () => {
    const key = await newKey()
    const id = (await run("authorize", "--key", key, "--role", "wrapper")).out.trim()
    const bucket = `crn:v1:bluemix:public:cloud-object-storage:global:a/${stack.env["BUCKETSEAL_ACCOUNT"]}:${stack.env["BUCKETSEAL_STORE_INSTANCE"]}:bucket:any`
    expect(await run("authorize", "check", "kms.secrets.wrap", key, "--subject", bucket)).toMatchObject({ code: 0, out: `allowed by ${id}\n` })
    expect(await run("authorize", "check", "kms.secrets.unwrap", key, "--subject", bucket))
      .toMatchObject({ code: 3, out: expect.stringContaining(`bucketseal authorize --bucket-instance ${stack.env["BUCKETSEAL_STORE_INSTANCE"]}`) })
    const refused = await run("authorize", "check", "kms.secrets.unwrap", key, "--subject", bucket, "--json")
    expect([refused.code, JSON.parse(refused.out)]).toMatchObject([3, { allowed: false, missing: { type: "authorization" } }])
    expect((await runAs(reader, "authorize", "check", "kms.secrets.wrap", key)).code).toBe(3)
  })

  it("a bucket and a prefix are registered by key id, listed, disabled and forgotten", async () => {
    const key = await newKey()
    const id = key.split(":").at(-1) ?? ""
    await run("authorize")
    expect(await json("register", `s3://${BUCKET}`, "--key", id, "--settle", "0")).toMatchObject({ rootKey: key, prefix: "", settle: 0, enabled: true })
    expect(await json("register", `s3://${BUCKET}/år 2024/%41`, "--key", key, "--moved", "allow")).toMatchObject({ prefix: "år 2024/%41", moved: "allow", settle: 5 })
    expect((await run("register", "list")).out).toContain(`s3://${BUCKET}/år 2024/%41  enabled  in-place  settle 5`)
    expect(await json("register", `s3://${BUCKET}`, "--disable")).toMatchObject({ rootKey: key, settle: 0, enabled: false })
    expect(await run("keys", "delete", key)).toMatchObject({ code: 1, err: expect.stringContaining("force") })
    expect((await run("register", "remove", `s3://${BUCKET}/år 2024/%41`)).code).toBe(0)
    expect(await run("register", "remove", `s3://${BUCKET}/år 2024/%41`)).toMatchObject({ code: 1, err: expect.stringContaining("isn't registered") })
    expect(await run("register", "s3://nowhere-here", "--key", key)).toMatchObject({ code: 1, err: "there is no bucket nowhere-here\n" })
    expect((await run("keys", "delete", key, "--force")).code).toBe(0)
  })
})

describe("bucketseal status", () => {
  it("tells of registrations, and of parked objects with their reasons", async () => {
    const key = await newKey()
    await run("authorize")
    await run("register", `s3://${BUCKET}`, "--key", key, "--settle", "0")
    await run("keys", "disable", key)
    await s3ClientOf(stack.env).send(new PutObjectCommand({ Bucket: BUCKET, Key: "parked", Body: "x" }))
    await bucketseal(["seal", `s3://${BUCKET}/parked`, "--data", stack.folder], { cwd: folder })
    expect(await json("status")).toMatchObject({
      url: stack.env["BUCKETSEAL_URL"], health: { status: "ok" }, registrations: { buckets: 1 }, parked: { total: 1, reasons: { "key-state": 1 } }, lastSweep: null,
    })
    const { out } = await run("status")
    expect(out).toMatch(/^parked objects +1, 1 key-state$/m)
    expect(out).toMatch(/^registrations +buckets that have or had one: 1$/m)
  })
})

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

/** A port on which nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer()
  const port = await listen(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}
