import { randomBytes } from "node:crypto"
import { describe, expect, it } from "vitest"
import { keys } from "../functions/keys.ts"
import { rewrap } from "../functions/rewrap.ts"
import { unwrap } from "../functions/unwrap.ts"
import { wrap } from "../functions/wrap.ts"
import type { KeysContext } from "../shared/context.ts"
import { Failure } from "../shared/errors.ts"
import { answer } from "../shared/runtime/endpoint.ts"
import { parseSettings } from "../shared/settings.ts"
import { instance, makeRootKeys, setClock, unknownId } from "./key-fixtures.ts"
import { memoryState } from "./memory-state.ts"

const routes = [...wrap, ...unwrap, ...rewrap, ...keys]
const KEY = "application/vnd.ibm.kms.key+json"
const base64 = (size: number) => randomBytes(size).toString("base64")

/** Every member that some reply has; a test reads those that its reply must have. */
interface Reply {
  metadata: { collectionType: string; collectionTotal: number }
  resources: readonly Resource[]
  plaintext: string; ciphertext: string; keyVersion: { id: string }; rewrappedKeyVersion: { id: string }
}
interface Resource {
  id: string; tags: string[]; imported: boolean; algorithmMetadata: { bitLength: string }
  errorMsg: string; reasons: { code: string; target?: { type: string; name: string } }[]
}

/** The first resource, and the first reason of an error. */
const firstOf = (body: Reply) => body.resources[0] ?? ({} as Resource)
const reasonOf = (body: Reply) => firstOf(body).reasons[0]

interface Sent { method?: string; body?: unknown; raw?: string; headers?: Record<string, string> }

/** A server of these functions, and a client that speaks to it as the Node SDK does. */
function serve() {
  const clock = setClock()
  const logged: string[] = []
  const log = (message: string, fields?: unknown) => void logged.push(JSON.stringify([message, fields]))
  const decisions: [string, string][] = []
  const inUse = new Set<string>()
  const context: KeysContext = {
    settings: parseSettings({
      account: "acc1", kmsInstance: instance.id, storeInstance: instance.id,
    }), clock, state: memoryState(), log: { info: log, warn: log, error: log },
    rootKeys: makeRootKeys({ clock, waits: { rotate: 3600, enable: 30 } }),
    isInUse: async (rootKey) => inUse.has(rootKey),
    authority: {
      async decide(subject, action, resource) {
        decisions.push([action, resource])
        return { allowed: subject.iamId !== "iam-nobody" }
      },
    },
    async authenticate(token) {
      if (token === "forged") throw new Failure("unauthorized", "the token doesn't hold")
      return { subject: { iamId: token, account: "acc1" }, subjectType: "user" }
    },
  }
  const respond = answer(routes, context)
  const send = async (path: string, { method = "POST", body, raw, headers = {} }: Sent = {}) => {
    const text = raw ?? (body === undefined ? undefined : JSON.stringify(body))
    const response = await respond(new Request(`http://127.0.0.1/api/v2${path}`, {
      method, ...(text === undefined ? {} : { body: text }),
      headers: { authorization: "Bearer iam-test", "bluemix-instance": instance.id, ...headers },
    }))
    const reply = await response.text()
    return {
      status: response.status, headers: response.headers, body: (reply === "" ? {} : JSON.parse(reply)) as Reply,
    }
  }
  const create = async (resource: object = {}) => {
    const resources = [{ type: KEY, name: "a key", extractable: false, ...resource }]
    return send("/keys", { body: { metadata: { collectionType: KEY, collectionTotal: 1 }, resources } })
  }
  const newKey = async (resource: object = {}): Promise<string> => firstOf((await create(resource)).body).id
  return { send, create, newKey, clock, logged, decisions, inUse }
}

const forms = [
  ["current paths", (id: string, action: string) => `/keys/${id}/actions/${action}`],
  ["legacy paths", (id: string, action: string) => `/keys/${id}?action=${action}`],
] as const

describe("creating a root key", () => {
  it("answers 201 with a collection of the key", async () => {
    const { create } = serve()
    const { status, body } = await create({ description: "for photos", tags: ["a"] })
    expect(status).toBe(201)
    expect(body.metadata).toEqual({ collectionType: KEY, collectionTotal: 1 })
    const key = firstOf(body)
    expect(key).toMatchObject({
      type: KEY, name: "a key", description: "for photos", tags: ["a"], extractable: false, imported: false, state: 1,
      deleted: false, createdBy: "iam-test", creationDate: "2025-06-01T12:00:00.000Z", keyVersion: { id: key.id },
      crn: instance.keyCrn(key.id), algorithmMetadata: { bitLength: "256" },
    })
    expect(key).not.toHaveProperty("lastUpdateDate")
    expect(key).not.toHaveProperty("payload")
    expect(key).not.toHaveProperty("versions")
  })

  it("reads member names in any case, and ignores unknown ones", async () => {
    const { send } = serve()
    const { status, body } = await send("/keys", {
      body: { METADATA: { collectiontype: KEY, CollectionTotal: 1 }, Resources: [{ Name: "ab", EXTRACTABLE: false, Tags: ["t"], more: 1 }], more: 1 },
    })
    expect([status, firstOf(body).tags]).toEqual([201, ["t"]])
  })

  it.each([16, 24, 32])("imports %i bytes", async (size) => {
    const { create } = serve()
    const { status, body } = await create({ payload: base64(size) })
    expect([
      status, firstOf(body).imported, firstOf(body).algorithmMetadata.bitLength,
    ]).toEqual([201, true, String(size * 8)])
  })
})

describe.each(forms)("wrap, unwrap and rewrap by %s", (_, path) => {
  it.each([
    ["{}", { body: {} }], ["no body", {}], ["null", { raw: "null" }],
  ])("wraps a fresh key for %s and gives its plaintext once", async (__, sent) => {
    const { send, newKey } = serve()
    const id = await newKey()
    const { status, body, headers } = await send(path(id, "wrap"), sent)
    expect(status).toBe(200)
    expect(headers.get("cache-control")).toBe("no-store")
    expect(Object.keys(body).sort()).toEqual(["ciphertext", "keyVersion", "plaintext"])
    expect(Buffer.from(body.plaintext, "base64").length).toBe(32)
    expect(body.keyVersion).toEqual({ id: firstOf((await send(`/keys/${id}/versions`, { method: "GET" })).body).id })
    const opened = await send(path(id, "unwrap"), { body: { ciphertext: body.ciphertext } })
    expect([opened.status, opened.body]).toEqual([200, { plaintext: body.plaintext, keyVersion: { id } }])
  })

  it("wraps a given key without echoing it", async () => {
    const { send, newKey } = serve()
    const id = await newKey()
    const plaintext = base64(32)
    const { status, body } = await send(path(id, "wrap"), { body: { plaintext } })
    expect([status, Object.keys(body).sort()]).toEqual([200, ["ciphertext", "keyVersion"]])
    expect((await send(path(id, "unwrap"), { body: { Ciphertext: body.ciphertext } })).body.plaintext).toBe(plaintext)
  })

  it.each([
    [["a", "b"], ["a", "b"], 200], [["a", "b"], ["b", "a"], 422], [["a", "b"], undefined, 422],
    [[null], [null], 200], [[null], [""], 200], [null, undefined, 200], [[], undefined, 200],
  ])("wraps with AAD %j; with %j it unwraps with %i", async (sealed, opened, expected) => {
    const { send, newKey } = serve()
    const id = await newKey()
    const { body } = await send(path(id, "wrap"), { body: { aad: sealed } })
    const { status } = await send(path(id, "unwrap"), { body: { ciphertext: body.ciphertext, aad: opened } })
    expect(status).toBe(expected)
  })

  it("unwraps what an older version wrapped, and gives it under the newest", async () => {
    const { send, newKey } = serve()
    const id = await newKey()
    const old = (await send(path(id, "wrap"), { body: { aad: ["a"] } })).body
    expect((await send(path(id, "rotate"), { body: {} })).status).toBe(204)
    const versions = (await send(`/keys/${id}/versions?totalCount=true`, { method: "GET" })).body
    expect(versions.metadata).toEqual({
      collectionType: "application/vnd.ibm.kms.key.version+json", collectionTotal: 2, totalCount: 2,
    })
    const [newest, oldest] = versions.resources
    expect([oldest?.id, newest?.id === id]).toEqual([id, false])
    const key = firstOf((await send(`/keys/${id}`, { method: "GET" })).body)
    expect(key).toMatchObject({ id, keyVersion: newest, lastRotateDate: "2025-06-01T12:00:00.000Z" })

    const { status, body } = await send(path(id, "unwrap"), { body: { ciphertext: old.ciphertext, aad: ["a"] } })
    expect(status).toBe(200)
    expect(body).toEqual({ plaintext: old.plaintext, keyVersion: { id }, ciphertext: expect.any(String) as unknown, rewrappedKeyVersion: { id: newest?.id } })
    const again = await send(path(id, "unwrap"), { body: { ciphertext: body.ciphertext, aad: ["a"] } })
    expect(again.body).toEqual({ plaintext: old.plaintext, keyVersion: { id: newest?.id } })
  })

  it("rewraps without giving the plaintext", async () => {
    const { send, newKey } = serve()
    const id = await newKey()
    const old = (await send(path(id, "wrap"), { body: { aad: ["a"] } })).body
    await send(path(id, "rotate"))
    const { status, body } = await send(path(id, "rewrap"), { body: { ciphertext: old.ciphertext, aad: ["a"] } })
    expect(status).toBe(200)
    expect(body).toEqual({ ciphertext: expect.any(String) as unknown, keyVersion: { id }, rewrappedKeyVersion: { id: expect.any(String) as unknown } })
    expect(body.rewrappedKeyVersion.id).not.toBe(id)
    const opened = await send(path(id, "unwrap"), { body: { ciphertext: body.ciphertext, aad: ["a"] } })
    expect(opened.body.plaintext).toBe(old.plaintext)
  })

  it("answers 422 for tampered and foreign ciphertexts, 400 for what is not base64", async () => {
    const { send, newKey } = serve()
    const [id, other] = [await newKey(), await newKey()]
    const { ciphertext } = (await send(path(id, "wrap"))).body
    const envelope = JSON.parse(Buffer.from(ciphertext, "base64").toString()) as object
    const tampered = Buffer.from(JSON.stringify({ ...envelope, iv: base64(12) })).toString("base64")
    for (const action of ["unwrap", "rewrap"]) {
      const replies = [
        await send(path(id, action), { body: { ciphertext: tampered } }),
        await send(path(other, action), { body: { ciphertext } }),
        await send(path(id, action), { body: { ciphertext: "AAAA" } }),
      ]
      expect(new Set(replies.map(({ body }) => JSON.stringify(body))).size).toBe(1)
      expect(replies[0]).toMatchObject({
        status: 422, body: { resources: [{ reasons: [{ code: "UNPROCESSABLE_CIPHERTEXT_ERR", status: 422 }] }] },
      })
      const { status, body } = await send(path(id, action), { body: { ciphertext: "not base64" } })
      expect([status, reasonOf(body)]).toMatchObject([
        400, { code: "INVALID_FIELD_ERR", target: { type: "field", name: "ciphertext" } },
      ])
    }
  })

  it("disables and enables with null for a body, as the Go client sends it", async () => {
    const { send, newKey, clock } = serve()
    const id = await newKey()
    const { ciphertext } = (await send(path(id, "wrap"))).body
    expect((await send(path(id, "disable"), { raw: "null" })).status).toBe(204)
    for (const sent of ["wrap", "unwrap", "rewrap", "rotate", "disable"]) {
      const { status, body } = await send(path(id, sent), {
        body: sent.endsWith("wrap") && sent !== "wrap" ? { ciphertext } : {},
      })
      expect([sent, status, reasonOf(body)?.code]).toEqual([sent, 409, "KEY_ACTION_INVALID_STATE_ERR"])
    }
    expect((await send(path(id, "enable"), { raw: "null" })).status).toBe(409)
    clock.forward(30)
    expect((await send(path(id, "enable"), { raw: "null" })).status).toBe(204)
    expect((await send(path(id, "unwrap"), { body: { ciphertext } })).status).toBe(200)
  })
})

describe("root keys", () => {
  it("are listed with limit, offset and state, without the destroyed unless asked for", async () => {
    const { send, newKey } = serve()
    const ids = await Promise.all(Array.from({ length: 20 }, () => newKey()))
    ids.sort()
    await send(`/keys/${ids[0]}`, { method: "DELETE" })
    await send(`/keys/${ids[1]}/actions/disable`)
    const list = async (query: string) => (await send(`/keys${query}`, { method: "GET" })).body
    const idsOf = (body: Reply) => body.resources.map(({ id }) => id)
    expect(idsOf(await list(""))).toEqual(ids.slice(1))
    expect((await list("?limit=3&offset=2")).metadata.collectionTotal).toBe(3)
    expect(idsOf(await list("?limit=3&offset=2"))).toEqual(ids.slice(3, 6))
    expect(idsOf(await list("?state=5"))).toEqual([ids[0]])
    expect(idsOf(await list("?state=2%2C5"))).toEqual(ids.slice(0, 2))
    expect(idsOf(await list("?extractable=true"))).toEqual([])
    const head = await send("/keys?state=1,5", { method: "HEAD" })
    expect([head.status, head.headers.get("key-total"), head.body]).toEqual([200, "19", {}])
  })

  it.each(["limit=0", "limit=5001", "limit=x", "limit=1e2", "offset=-1", "state=4", "state=", "extractable=yes"])(
    "are not listed for %s: 400 INVALID_QUERY_PARAM_ERR", async (query) => {
      const { status, body } = await serve().send(`/keys?${query}`, { method: "GET" })
      expect([status, reasonOf(body)]).toMatchObject([
        400, { code: "INVALID_QUERY_PARAM_ERR", target: { type: "query_param", name: query.split("=")[0] } },
      ])
    })

  it.each(["search=a", "sort=id", "filter=state=1"])("say of %s that it isn't offered, and don't ignore it", async (query) => {
    expect((await serve().send(`/keys?${query}`, { method: "GET" })).status).toBe(501)
  })

  it("a key that a registration has, or had, is deleted only by force", async () => {
    const { send, newKey, inUse } = serve()
    const id = await newKey()
    inUse.add(instance.keyCrn(id))
    const refused = await send(`/keys/${id}`, { method: "DELETE" })
    expect([refused.status, reasonOf(refused.body)?.code]).toEqual([409, "PROTECTED_RESOURCE_ERR"])
    expect((await send(`/keys/${id}/actions/wrap`)).status).toBe(200)
    expect((await send(`/keys/${id}?force=true`, { method: "DELETE" })).status).toBe(204)
  })

  it("are deleted with 204, with 200 and the key where Prefer asks for it, and only once", async () => {
    const { send, newKey } = serve()
    const [one, two] = [await newKey(), await newKey()]
    expect((await send(`/keys/${one}`, { method: "DELETE" })).status).toBe(204)
    const { status, body } = await send(`/keys/${two}`, {
      method: "DELETE", headers: { prefer: "return=representation" },
    })
    expect([status, body.resources[0]]).toMatchObject([
      200, { id: two, state: 5, deleted: true, deletedBy: "iam-test" },
    ])
    const again = await send(`/keys/${one}`, { method: "DELETE" })
    expect([again.status, reasonOf(again.body)?.code]).toEqual([410, "KEY_DELETED_ERR"])
    expect((await send(`/keys/${one}/metadata`, { method: "GET" })).body.resources[0]).toMatchObject({ state: 5, deleted: true })
    expect((await send(`/keys/${one}/actions/wrap`)).status).toBe(410)
    expect((await send(`/keys/${one}/versions`, { method: "GET" })).status).toBe(410)
    expect((await send(`/keys/${one}/versions?allKeyStates=true`, { method: "GET" })).status).toBe(200)
  })

  it("are rotated at most once an hour, generated ones without and imported ones with a payload", async () => {
    const { send, newKey, clock } = serve()
    const [made, imported] = [await newKey(), await newKey({ payload: base64(32) })]
    const code = async (id: string, body: unknown) => {
      const reply = await send(`/keys/${id}/actions/rotate`, { body })
      return [reply.status, "resources" in reply.body ? reasonOf(reply.body)?.code : undefined]
    }
    expect(await code(made, { payload: base64(32) })).toEqual([400, "INVALID_QUERY_PARAM_ERR"])
    expect(await code(imported, {})).toEqual([400, "KEY_PAYLOAD_REQ_ERR"])
    expect(await code(imported, { payload: base64(15) })).toEqual([400, "INVALID_FIELD_ERR"])
    expect(await code(imported, { payload: base64(16) })).toEqual([204, undefined])
    expect(await code(made, null)).toEqual([204, undefined])
    expect(await code(made, {})).toEqual([409, "KEY_ROTATION_NOT_PERMITTED"])
    clock.forward(3600)
    expect(await code(made, {})).toEqual([204, undefined])
  })

  it("decide each action on the key's CRN, and those on no key on the instance's", async () => {
    const { send, newKey, decisions } = serve()
    const id = await newKey()
    await send(`/keys/${id}?action=wrap`)
    await send(`/keys/${id}`, { method: "GET" })
    await send("/keys", { method: "GET" })
    expect(decisions).toEqual([
      ["kms.secrets.create", instance.crn], ["kms.secrets.wrap", instance.keyCrn(id)],
      ["kms.secrets.readmetadata", instance.keyCrn(id)], ["kms.secrets.list", instance.crn],
    ])
  })
})

describe("bad input", () => {
  const good = {
    metadata: { collectionType: KEY, collectionTotal: 1 }, resources: [{ name: "a key", extractable: false }],
  }
  const nested = (levels: number) => `{"more":${"[".repeat(levels - 1)}${"]".repeat(levels - 1)}}`
  const creating = (resource: object) => ({ ...good, resources: [{ ...good.resources[0], ...resource }] })

  it.each<[string, string, Sent, number, string]>([
    ["wrong JSON", "/keys", { raw: "{" }, 400, "BAD_BODY_ERR"],
    ["no UTF-8 text but a list", "/keys", { raw: "[]" }, 400, "BAD_BODY_ERR"],
    ["a string", "/keys/ID/actions/wrap", { raw: '"x"' }, 400, "BAD_BODY_ERR"],
    ["a body of 33 levels", "/keys/ID/actions/wrap", { raw: nested(33) }, 400, "BAD_BODY_ERR"],
    ["a body of 30,000 levels", "/keys/ID/actions/wrap", { raw: nested(30_000) }, 400, "BAD_BODY_ERR"],
    ["no body", "/keys", {}, 400, "BAD_BODY_ERR"],
    ["no metadata", "/keys", { body: { resources: good.resources } }, 400, "BAD_BODY_ERR"],
    ["empty metadata", "/keys", { body: { ...good, metadata: {} } }, 400, "BAD_BODY_ERR"],
    ["a wrong total", "/keys", { body: { ...good, metadata: { collectionType: KEY, collectionTotal: 2 } } }, 400, "COLLECTION_TOTAL_MISMATCH_ERR"],
    ["two keys", "/keys", { body: { metadata: { collectionType: KEY, collectionTotal: 2 }, resources: [{}, {}] } }, 400, "NUM_COLLECTION_RESOURCE_ERR"],
    ["no keys", "/keys", { body: { metadata: { collectionType: KEY, collectionTotal: 0 }, resources: [] } }, 400, "NUM_COLLECTION_RESOURCE_ERR"],
    ["no name", "/keys", { body: creating({ name: undefined }) }, 400, "BAD_BODY_ERR"],
    ["a short name", "/keys", { body: creating({ name: "a" }) }, 400, "BAD_BODY_ERR"],
    ["a long name", "/keys", { body: creating({ name: "a".repeat(91) }) }, 400, "BAD_BODY_ERR"],
    ["a long description", "/keys", { body: creating({ description: "a".repeat(241) }) }, 400, "BAD_BODY_ERR"],
    ["31 tags", "/keys", { body: creating({ tags: Array(31).fill("t") }) }, 400, "BAD_BODY_ERR"],
    ["a tag with a colon", "/keys", { body: creating({ tags: ["a:b"] }) }, 400, "BAD_BODY_ERR"],
    ["a number for a name", "/keys", { body: creating({ name: 12 }) }, 400, "BAD_BODY_ERR"],
    ["nothing about extractable", "/keys", { body: creating({ extractable: undefined }) }, 400, "BAD_BODY_ERR"],
    ["a standard key", "/keys", { body: creating({ extractable: true }) }, 501, "NOT_IMPLEMENTED_ERR"],
    ["aliases", "/keys", { body: creating({ aliases: ["a"] }) }, 501, "NOT_IMPLEMENTED_ERR"],
    ["a secure import", "/keys", { body: creating({ payload: "AAAA", encryptedNonce: "AAAA" }) }, 501, "NOT_IMPLEMENTED_ERR"],
    ["a payload of 15 bytes", "/keys", { body: creating({ payload: base64(15) }) }, 400, "INVALID_FIELD_ERR"],
    ["a payload that isn't base64", "/keys", { body: creating({ payload: "?" }) }, 400, "INVALID_FIELD_ERR"],
    ["a past expiry", "/keys", { body: creating({ expirationDate: "2020-01-01T00:00:00Z" }) }, 400, "INVALID_FIELD_ERR"],
    ["an expiry that is no date", "/keys", { body: creating({ expirationDate: "soon" }) }, 400, "BAD_BODY_ERR"],
    ["a plaintext that isn't base64", "/keys/ID/actions/wrap", { body: { plaintext: "?" } }, 400, "INVALID_FIELD_ERR"],
    ["a plaintext in base64url", "/keys/ID/actions/wrap", { body: { plaintext: "__8=" } }, 400, "INVALID_FIELD_ERR"],
    ["an empty plaintext", "/keys/ID/actions/wrap", { body: { plaintext: "" } }, 400, "INVALID_FIELD_ERR"],
    ["a plaintext of 7,501 bytes", "/keys/ID/actions/wrap", { body: { plaintext: base64(7501) } }, 400, "INVALID_FIELD_ERR"],
    ["a number for a plaintext", "/keys/ID/actions/wrap", { body: { plaintext: 1 } }, 400, "BAD_BODY_ERR"],
    ["AAD that is a string", "/keys/ID/actions/wrap", { body: { aad: "a" } }, 400, "INVALID_FIELD_ERR"],
    ["AAD with a number", "/keys/ID/actions/wrap", { body: { aad: [1] } }, 400, "INVALID_FIELD_ERR"],
    ["AAD of 256 characters", "/keys/ID/actions/wrap", { body: { aad: ["a".repeat(256)] } }, 400, "INVALID_FIELD_ERR"],
    ["no ciphertext", "/keys/ID/actions/unwrap", { body: {} }, 400, "BAD_BODY_ERR"],
    ["no ciphertext to rewrap", "/keys/ID/actions/rewrap", {}, 400, "BAD_BODY_ERR"],
    ["a body of more than 64 KiB", "/keys/ID/actions/wrap", { raw: " ".repeat(64 * 1024 + 1) }, 413, "BODY_TOO_LARGE_ERR"],
    ["an unknown key", `/keys/${unknownId()}/actions/wrap`, {}, 404, "KEY_NOT_FOUND_ERR"],
    ["an unknown key's metadata", `/keys/${unknownId()}/metadata`, { method: "GET" }, 404, "KEY_NOT_FOUND_ERR"],
    ["a path for a key", "/keys/..%2F..%2Fx/actions/wrap", {}, 404, "KEY_NOT_FOUND_ERR"],
    ["a key's CRN for its id", `/keys/${encodeURIComponent(instance.keyCrn("x"))}/actions/wrap`, {}, 404, "KEY_NOT_FOUND_ERR"],
    ["another instance", "/keys/ID/actions/wrap", { headers: { "bluemix-instance": unknownId() } }, 400, "INVALID_FIELD_ERR"],
    ["an empty instance", "/keys/ID/actions/wrap", { headers: { "bluemix-instance": "" } }, 400, "INVALID_FIELD_ERR"],
    ["a wrong method", "/keys/ID", { method: "PUT" }, 405, "METHOD_NOT_ALLOWED_ERR"],
    ["a wrong method on an action", "/keys/ID/actions/wrap", { method: "GET" }, 405, "METHOD_NOT_ALLOWED_ERR"],
    ["an unknown legacy action", "/keys/ID?action=explode", {}, 405, "METHOD_NOT_ALLOWED_ERR"],
    ["an unknown action", "/keys/ID/actions/explode", {}, 404, "NOT_FOUND_ERR"],
  ])("%s to %s gets a clear error", async (_, path, sent, status, code) => {
    const { send, newKey } = serve()
    const reply = await send(path.replace("ID", await newKey()), sent)
    expect([reply.status, reasonOf(reply.body)?.code]).toEqual([status, code])
    expect(reply.body.metadata).toEqual({ collectionType: "application/vnd.ibm.kms.error+json", collectionTotal: 1 })
    expect(firstOf(reply.body).errorMsg.length).toBeGreaterThan(20)
  })

  it("does not include a body of 32 levels", async () => {
    const { send, newKey } = serve()
    expect((await send(`/keys/${await newKey()}/actions/wrap`, { raw: nested(32) })).status).toBe(200)
  })

  it.each([["no token", ""], ["a forged token", "Bearer forged"], ["another scheme", "Basic Yng6Yng="], ["a caller without the right", "Bearer iam-nobody"]])(
    "%s gets 401 with errorMsg only, for every route", async (_, authorization) => {
      const { send, newKey } = serve()
      const id = await newKey()
      for (const { method, path, query } of routes) {
        if (method === "HEAD") continue
        const target = `${path.replace("/api/v2", "").replace(":id", id)}${query ? `?${new URLSearchParams(query).toString()}` : ""}`
        const { status, body } = await send(target, { method, headers: { authorization } })
        expect([method, path, status]).toEqual([method, path, 401])
        expect(Object.keys(firstOf(body))).toEqual(["errorMsg"])
      }
    })

  it("that names no instance gets 400 before anything is decided", async () => {
    const { send, decisions } = serve()
    const { status, body } = await send("/keys", { method: "GET", headers: { "bluemix-instance": "x" } })
    expect([status, reasonOf(body)?.target]).toEqual([400, { type: "header", name: "Bluemix-Instance" }])
    expect(decisions).toEqual([])
  })

  it("and good input leave no plaintext or payload in the log", async () => {
    const { send, create, newKey, logged } = serve()
    const [id, plaintext, payload] = [await newKey(), base64(32), base64(15)]
    await create({ payload })
    await send(`/keys/${id}/actions/wrap`, { body: { plaintext, aad: [1] } })
    await send(`/keys/${id}/actions/wrap`, { body: { plaintext: `${plaintext}!` } })
    await send(`/keys/${id}/actions/unwrap`, { body: { ciphertext: plaintext } })
    expect(logged.length).toBe(4)
    for (const secret of [plaintext, payload]) expect(logged.join()).not.toContain(secret.slice(0, 20))
  })
})
