import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { actions } from "../shared/iam/actions.ts"
import { authority } from "../shared/iam/authority.ts"
import { decideBy, mayGrant } from "../shared/iam/decision.ts"
import { parseCrn } from "../shared/iam/crn.ts"
import { ownerPolicies, policies } from "../shared/iam/policies.ts"
import { etagOf, policyDraft, type PolicyDraft } from "../shared/iam/policy.ts"
import { covers, holds, roleCrn, roleOfCrn, roles, type Role } from "../shared/iam/roles.ts"
import { matchesWildcard } from "../shared/iam/wildcard.ts"
import type { Subject } from "../shared/ports.ts"
import { access, ACCOUNT, authorization, bucket, CACHE_SECONDS, KEY, KMS, rootKey, STORE, testClock } from "./iam-fixtures.ts"
import { memoryState } from "./memory-state.ts"

const owner: Subject = { iamId: "IBMid-owner", account: ACCOUNT }
const alice: Subject = { iamId: "iam-ServiceId-alice", account: ACCOUNT }
const service = (crn: string, account = ACCOUNT): Subject => ({ iamId: `crn-${crn}`, account, crn })

/** An authority over these policies, and the ids that they got. */
async function world(...drafts: readonly PolicyDraft[]) {
  const [state, clock] = [memoryState(), testClock()]
  const held = policies(state, CACHE_SECONDS, clock)
  const ids: string[] = []
  for (const draft of drafts) ids.push((await held.create(ACCOUNT, draft, "IBMid-owner")).id)
  return { state, clock, held, ids, authority: authority(held) }
}

describe("roles", () => {
  it.each([
    ["Reader", "kms.secrets.wrap", true],
    ["Reader", "kms.secrets.unwrap", true],
    ["Reader", "kms.secrets.read", false],
    ["Reader", "kms.secrets.rotate", false],
    ["Reader", "cloud-object-storage.object.get", true],
    ["Reader", "bucketseal.registrations.read", true],
    ["Reader", "bucketseal.registrations.write", false],
    ["Reader", "bucketseal.jobs.run", false],
    ["Reader", "iam.policy.write", false],
    ["ReaderPlus", "kms.secrets.read", true],
    ["ReaderPlus", "kms.secrets.create", false],
    ["Writer", "kms.secrets.create", true],
    ["Writer", "kms.secrets.wrap", true],
    ["Writer", "kms.secrets.delete", false],
    ["Writer", "bucketseal.jobs.run", true],
    ["Writer", "bucketseal.objects.decrypt", false],
    ["Manager", "kms.secrets.delete", true],
    ["Manager", "kms.secrets.purge", false],
    ["Manager", "bucketseal.keys.shred", true],
    ["Manager", "iam.policy.write", true],
    ["KeyPurge", "kms.secrets.purge", true],
    ["KeyPurge", "kms.secrets.list", false],
    ["Wrapper", "kms.secrets.wrap", true],
    ["Wrapper", "kms.secrets.readmetadata", true],
    ["Wrapper", "kms.secrets.unwrap", false],
    ["Wrapper", "kms.secrets.rewrap", false],
  ] as const)("%s on %s: %s", (role, action, expected) => expect(holds(role, action)).toBe(expected))

  it("include all that lower ones hold, but for KeyPurge", () => {
    const ladder = ["Wrapper", "Reader", "ReaderPlus", "Writer", "Manager"] as const
    const order = (role: Role) => ladder.findIndex((each) => each === role)
    for (const role of ladder) for (const other of ladder) expect([role, other, covers(role, other)]).toEqual([role, other, order(role) >= order(other)])
    for (const role of ladder) expect([covers(role, "KeyPurge"), covers("KeyPurge", role)]).toEqual([false, false])
  })

  it("hold every action, one of them at least", () => {
    for (const action of actions) expect(roles.some((role) => holds(role, action)), action).toBe(true)
  })

  it("have CRNs, and nothing else is a role", () => {
    for (const role of roles) expect(roleOfCrn(roleCrn(role))).toBe(role)
    expect(roleCrn("Reader")).toBe("crn:v1:bluemix:public:iam::::serviceRole:Reader")
    for (const other of ["Reader", "crn:v1:bluemix:public:iam::::role:Viewer", `${roleCrn("Reader")} `]) expect(roleOfCrn(other)).toBeUndefined()
  })
})

describe("stringMatch", () => {
  it.each([
    ["*", "", true], ["*", "anything", true], ["?", "a", true], ["?", "", false], ["?", "ab", false], ["a*c", "abbc", true],
    ["a*c", "abcd", false], ["*-logs", "app-logs", true], ["*-logs", "app-logs-2", false], ["a**b", "ab", true], ["a.c", "abc", false],
    ["[ab]", "a", false], ["", "", true], ["", "a", false], ["?", "é", true], ["?", "😀", true], ["a*b*c", "a-b-b-c-c", true],
  ])("%j matches %j: %s", (pattern, text, expected) => expect(matchesWildcard(pattern, text)).toBe(expected))

  it("agrees with the table that defines it, for any pattern and text", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "*", "?"), maxLength: 12 })
    fc.assert(fc.property(letters, letters, (pattern, text) => matchesWildcard(pattern, text) === byTable(pattern, text)))
  })

  it("is done with the worst pattern for its longest text", () => {
    expect(matchesWildcard("a*".repeat(499) + "b", "a".repeat(1000))).toBe(false) // a regular expression would not end
  })
})

/** `table[i][j]`: the first i characters of the pattern match the first j of the text. */
function byTable(pattern: string, text: string): boolean {
  let row = [true, ...Array.from(text, () => false)]
  for (const wanted of pattern) {
    const next = [wanted === "*" && row[0] === true]
    for (let at = 1; at <= text.length; at++) {
      next[at] = wanted === "*" ? row[at] === true || next[at - 1] === true : row[at - 1] === true && (wanted === "?" || wanted === text[at - 1])
    }
    row = next
  }
  return row.at(-1) === true
}

describe("decisions", () => {
  const kms = { serviceName: "kms" }
  const cos = { serviceName: "cloud-object-storage" }
  const drafts = [
    ...ownerPolicies(ACCOUNT, owner.iamId),
    access(alice.iamId, "Reader", { ...cos, resourceType: "bucket", resource: "photos" }),
    access(alice.iamId, "Writer", { ...kms, serviceInstance: KMS, resource: "~*-0003", region: "us-south" }),
    access(alice.iamId, "Manager", { serviceName: "bucketseal", resource: "~team-?" }),
    authorization({ ...cos, serviceInstance: STORE, resourceType: "bucket", resource: "photos" }, "Reader", { ...kms, serviceInstance: KMS }),
    authorization({ ...cos, resource: "drop" }, "Wrapper", { ...kms, resourceType: "key", resource: KEY }),
    authorization({ accountId: "acct2", serviceName: "cloud-object-storage" }, "Reader", { ...kms, resource: "shared" }),
  ]
  const OTHER = "0e1f2a3b-0000-4000-8000-000000000004"
  const key3 = "0e1f2a3b-0000-4000-8000-00000000-0003"
  const policyResource = `crn:v1:bluemix:public:iam::a/${ACCOUNT}::policy:`

  it.each<[string, Subject, string, string, boolean]>([
    ["the owner may wrap", owner, "kms.secrets.wrap", rootKey(), true],
    ["the owner may purge", owner, "kms.secrets.purge", rootKey(), true],
    ["the owner may grant", owner, "iam.policy.write", policyResource, true],
    ["the owner may register a bucket", owner, "bucketseal.registrations.write", bucket("photos"), true],
    ["the owner has no right in another account", owner, "kms.secrets.wrap", rootKey(KEY, KMS, "acct2"), false],
    ["a reader of a bucket reads it", alice, "cloud-object-storage.object.get", bucket("photos"), true],
    ["a reader of a bucket doesn't read another", alice, "cloud-object-storage.object.get", bucket("photos2"), false],
    ["nor one of the name in another account", alice, "cloud-object-storage.object.get", bucket("photos", "acct2"), false],
    ["a reader of a bucket doesn't register it", alice, "bucketseal.registrations.write", bucket("photos"), false],
    ["reading a bucket is no use of a key", alice, "kms.secrets.wrap", rootKey(), false],
    ["a pattern names keys", alice, "kms.secrets.rotate", rootKey(key3), true],
    ["its region binds", alice, "kms.secrets.rotate", rootKey(key3, KMS, ACCOUNT, "eu-de"), false],
    ["its instance binds", alice, "kms.secrets.rotate", rootKey(key3, OTHER), false],
    ["a writer doesn't delete", alice, "kms.secrets.delete", rootKey(key3), false],
    ["our own actions are decided on buckets", alice, "bucketseal.registrations.write", bucket("team-a"), true],
    ["? is one character", alice, "bucketseal.registrations.write", bucket("team-ab"), false],
    ["managing a bucket's registration is not reading it", alice, "cloud-object-storage.object.get", bucket("team-a"), false],
    ["a nobody may nothing", { iamId: "", account: "" }, "cloud-object-storage.object.get", bucket("photos"), false],
    ["a bucket's service uses keys of the instance", service(bucket("photos")), "kms.secrets.unwrap", rootKey(), true],
    ["any key of it", service(bucket("photos")), "kms.secrets.wrap", rootKey(OTHER), true],
    ["not of another instance", service(bucket("photos")), "kms.secrets.wrap", rootKey(KEY, OTHER), false],
    ["not more than its role", service(bucket("photos")), "kms.secrets.rotate", rootKey(), false],
    ["another bucket doesn't", service(bucket("photos2")), "kms.secrets.wrap", rootKey(), false],
    ["nor one of the name in another store", service(bucket("photos", ACCOUNT, OTHER)), "kms.secrets.wrap", rootKey(), false],
    ["a wrapper wraps", service(bucket("drop")), "kms.secrets.wrap", rootKey(), true],
    ["a wrapper doesn't unwrap", service(bucket("drop")), "kms.secrets.unwrap", rootKey(), false],
    ["another account's service, as authorized", service(bucket("b", "acct2"), "acct2"), "kms.secrets.wrap", rootKey("shared"), true],
    ["a third account's doesn't", service(bucket("b", "acct3"), "acct3"), "kms.secrets.wrap", rootKey("shared"), false],
    ["a service has nothing from access policies", { ...service(bucket("x")), iamId: alice.iamId }, "cloud-object-storage.object.get", bucket("photos"), false],
    ["an identity has nothing from authorizations", { iamId: `crn-${bucket("photos")}`, account: ACCOUNT }, "kms.secrets.wrap", rootKey(), false],
    ["what calls itself a CRN and is none may nothing", { ...alice, crn: "photos" }, "cloud-object-storage.object.get", bucket("photos"), false],
  ])("%s", async (_, subject, action, resource, allowed) => {
    const decision = await (await world(...drafts)).authority.decide(subject, action, resource)
    expect(decision.allowed).toBe(allowed)
    expect(decision.policy !== undefined).toBe(allowed)
  })

  it("take a policy of one type about the other's subject for no right", async () => {
    const { held } = await world(access(alice.iamId, "Reader", kms), authorization(cos, "Reader", kms))
    const swapped = (await held.list(ACCOUNT))
      .map((policy) => ({ ...policy, type: policy.type === "access" ? "authorization" as const : "access" as const }))
    const crn = parseCrn(rootKey())
    if (!crn) throw new Error("rootKey makes a CRN")
    for (const subject of [alice, service(bucket("photos"))]) {
      expect(decideBy(swapped, subject, { action: "kms.secrets.wrap", resource: crn }).allowed).toBe(false)
    }
  })

  it("take an absent account in a policy's document, or another's document, for no right", async () => {
    const { authority } = await world(...drafts)
    await expect(authority.decide(alice, "kms.secrets.wrap", "crn:v1:bluemix:public:kms:us-south:::key:x")).rejects.toMatchObject({ code: "bad-field" })
    await expect(authority.decide(alice, "kms.secrets.wrap", rootKey(KEY, KMS, "../root-keys/x"))).rejects.toMatchObject({ code: "bad-field" })
  })

  it.each([
    ["an action that does not exist", "kms.secrets.steal", rootKey()],
    ["an action named like a part of every object", "constructor", rootKey()],
    ["a resource that is no CRN", "kms.secrets.wrap", "photos"],
    ["an action on another service's resource", "kms.secrets.wrap", bucket("photos")],
  ])("refuse %s", async (_, action, resource) => {
    const { authority } = await world(...drafts)
    await expect(authority.decide(owner, action, resource)).rejects.toMatchObject({ code: "bad-field" })
  })

  it("let a policy for a ring speak only about keys whose ring is known", async () => {
    const { held, authority: ringless } = await world(access(alice.iamId, "Reader", { serviceName: "kms", keyRing: "blue" }))
    const ask = (each: typeof ringless) => each.decide(alice, "kms.secrets.wrap", rootKey())
    expect((await ask(ringless)).allowed).toBe(false)
    expect((await ask(authority(held, () => Promise.resolve("red")))).allowed).toBe(false)
    expect((await ask(authority(held, () => Promise.resolve("blue")))).allowed).toBe(true)
  })

  it("name the authorization that is missing, and creating exactly that allows it; deleting it forbids it again", async () => {
    const { authority, held } = await world(...ownerPolicies(ACCOUNT, owner.iamId))
    const ask = (action = "kms.secrets.wrap", source = "photos") => authority.decide(service(bucket(source)), action, rootKey())
    const missing = {
      type: "authorization",
      subjects: [{ attributes: [
        { name: "accountId", value: ACCOUNT }, { name: "serviceName", value: "cloud-object-storage" }, { name: "serviceInstance", value: STORE },
        { name: "resourceType", value: "bucket" }, { name: "resource", value: "photos" },
      ] }],
      roles: [{ role_id: roleCrn("Reader") }],
      resources: [{ attributes: [
        { name: "accountId", value: ACCOUNT }, { name: "serviceName", value: "kms" }, { name: "serviceInstance", value: KMS },
        { name: "resourceType", value: "key" }, { name: "resource", value: KEY },
      ] }],
    }
    const first = await ask()
    expect(first).toEqual({ allowed: false, missing })
    const { id } = await held.create(ACCOUNT, policyDraft.parse(JSON.parse(JSON.stringify(first.missing))), owner.iamId)
    expect(await ask()).toEqual({ allowed: true, policy: id })
    expect((await ask("kms.secrets.rotate")).missing?.roles).toEqual([{ role_id: roleCrn("Writer") }])
    expect((await ask("kms.secrets.purge")).missing?.roles).toEqual([{ role_id: roleCrn("KeyPurge") }])
    expect((await ask("kms.secrets.wrap", "photos2")).allowed).toBe(false)
    expect(await held.delete(ACCOUNT, id)).toBe(true)
    expect(await ask()).toEqual({ allowed: false, missing })
  })

  it("name nothing as missing for an identity: what it should have is not for it to say", async () => {
    expect(await (await world()).authority.decide(alice, "kms.secrets.wrap", rootKey())).toEqual({ allowed: false })
  })

  it("take one state read for an account of 200 policies, and none within the cache limit", async () => {
    const { state, clock, held } = await world()
    for (let each = 0; each < 199; each++) await held.create(ACCOUNT, access(`iam-ServiceId-${each}`, "Reader", { serviceName: "kms" }), owner.iamId)
    await held.create(ACCOUNT, access(alice.iamId, "Reader", { serviceName: "kms" }), owner.iamId)
    const cold = authority(policies(state, CACHE_SECONDS, clock))
    const before = state.requests()
    expect((await cold.decide(alice, "kms.secrets.wrap", rootKey())).allowed).toBe(true)
    expect(state.requests() - before).toBe(1)
    clock.pass(CACHE_SECONDS - 1)
    await Promise.all(Array.from({ length: 20 }, () => cold.decide(alice, "kms.secrets.unwrap", rootKey())))
    expect(state.requests() - before).toBe(1)
    clock.pass(1)
    await Promise.all(Array.from({ length: 20 }, () => cold.decide(alice, "kms.secrets.unwrap", rootKey())))
    expect(state.requests() - before).toBe(2) // one conditional read for all
  })

  it("see what another instance revoked when the cache limit has passed, and what their own did at once", async () => {
    const { state, clock, held, authority: own } = await world()
    const policy = await held.create(ACCOUNT, access(alice.iamId, "Reader", { serviceName: "kms" }), owner.iamId)
    const far = authority(policies(state, CACHE_SECONDS, clock))
    const ask = async (each: typeof far) => (await each.decide(alice, "kms.secrets.wrap", rootKey())).allowed
    expect([await ask(own), await ask(far)]).toEqual([true, true])
    await held.delete(ACCOUNT, policy.id)
    expect([await ask(own), await ask(far)]).toEqual([false, true])
    clock.pass(CACHE_SECONDS)
    expect(await ask(far)).toBe(false)
  })

  it("never see policies that were being read while their own instance changed them", async () => {
    const { held, clock, authority } = await world(access(alice.iamId, "Reader", { serviceName: "kms" }))
    clock.pass(CACHE_SECONDS)
    const [policy] = await held.list(ACCOUNT)
    clock.pass(CACHE_SECONDS)
    const early = authority.decide(alice, "kms.secrets.wrap", rootKey())
    const removed = held.delete(ACCOUNT, policy?.id ?? "")
    await Promise.all([early, removed])
    expect((await authority.decide(alice, "kms.secrets.wrap", rootKey())).allowed).toBe(false)
  })

  it("fail when the state store does once the cache limit has passed, and decide again afterwards", async () => {
    const [state, clock] = [memoryState(), testClock()]
    const held = policies(state, CACHE_SECONDS, clock)
    await held.create(ACCOUNT, access(alice.iamId, "Reader", { serviceName: "kms" }), owner.iamId)
    let broken = false
    const fail = () => Promise.reject(new Error("down"))
    const flaky = { ...state, read: ((path, parser) => (broken ? fail() : state.read(path, parser))) as typeof state.read,
      readIfChanged: ((path, parser, etag) => (broken ? fail() : state.readIfChanged(path, parser, etag))) as typeof state.readIfChanged }
    const deciding = authority(policies(flaky, CACHE_SECONDS, clock))
    const ask = async () => (await deciding.decide(alice, "kms.secrets.wrap", rootKey())).allowed
    expect(await ask()).toBe(true)
    broken = true
    expect(await ask()).toBe(true)
    clock.pass(CACHE_SECONDS)
    await expect(ask()).rejects.toThrow("down")
    broken = false
    expect(await ask()).toBe(true)
  })
})

describe("policies", () => {
  it("lose nothing when 16 instances create, and when 16 replace one with the same tag only one does", async () => {
    const { state, clock } = await world()
    const instances = Array.from({ length: 16 }, () => policies(state, CACHE_SECONDS, clock))
    const made = await Promise.all(instances.map((each, index) => each.create(ACCOUNT, access(`iam-ServiceId-${index}`, "Reader", { serviceName: "kms" }), "x")))
    const all = await policies(state, CACHE_SECONDS, clock).list(ACCOUNT)
    expect(all.map(({ id }) => id).sort()).toEqual(made.map(({ id }) => id).sort())
    const [first] = made
    if (!first) throw new Error("none was made")
    const results = await Promise.allSettled(instances.map((each, index) =>
      each.replace(ACCOUNT, first.id, access(`iam-ServiceId-new-${index}`, "Reader", { serviceName: "kms" }), etagOf(first), "x")))
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1)
    for (const result of results) if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "precondition-failed" })
    const after = await Promise.all(instances.map((each, index) => each.delete(ACCOUNT, made[index]?.id ?? "")))
    expect(after).toEqual(made.map(() => true))
    expect(await policies(state, CACHE_SECONDS, clock).list(ACCOUNT)).toEqual([])
  })

  it("give up, with nothing done, where other writers always win", async () => {
    const { state, clock } = await world()
    const losing = { ...state, create: () => Promise.resolve(undefined) }
    await expect(policies(losing, CACHE_SECONDS, clock).create(ACCOUNT, access("x", "Reader", {}), "x")).rejects.toMatchObject({ code: "conflict" })
    expect(await policies(state, CACHE_SECONDS, clock).list(ACCOUNT)).toEqual([])
  })

  it("keep who made them when they are replaced, and get another tag", async () => {
    const { held, clock } = await world()
    const made = await held.create(ACCOUNT, access("x", "Reader", { serviceName: "kms" }), "maker")
    clock.pass(10)
    const replaced = await held.replace(ACCOUNT, made.id, access("x", "Writer", { serviceName: "kms" }), etagOf(made), "changer")
    if (!replaced) throw new Error("it was not replaced")
    expect(replaced).toMatchObject({ id: made.id, created_by_id: "maker", last_modified_by_id: "changer", created_at: made.created_at })
    expect(replaced.last_modified_at > made.last_modified_at).toBe(true)
    expect(etagOf(replaced)).not.toBe(etagOf(made))
    expect(await held.get(ACCOUNT, made.id)).toEqual(replaced)
    expect(await held.replace(ACCOUNT, "no-such", access("x", "Reader", {}), "t", "x")).toBeUndefined()
    expect(await held.delete(ACCOUNT, "no-such")).toBe(false)
  })

  const cos = { serviceName: "cloud-object-storage" }
  it.each<[string, PolicyDraft]>([
    ["another account's target", access("x", "Reader", { accountId: "acct2" })],
    ["a pattern for the target's account", access("x", "Reader", { accountId: `~${ACCOUNT}` })],
    ["an authorization for any service", authorization(cos, "Reader", {})],
    ["an authorization of any service", authorization({}, "Reader", { serviceName: "kms" })],
    ["an authorization of an identity", authorization({ ...cos, iam_id: "x" }, "Reader", { serviceName: "kms" })],
    ["access of a service", { ...authorization(cos, "Reader", { serviceName: "kms" }), type: "access" }],
    ["an attribute twice", { ...access("x", "Reader", {}), subjects: [{ attributes: [{ name: "iam_id", value: "x" }, { name: "iam_id", value: "y" }] }] }],
  ])("refuse %s", async (_, draft) => {
    const { held } = await world()
    await expect(held.create(ACCOUNT, draft, "x")).rejects.toMatchObject({ code: "bad-field" })
    expect(await held.list(ACCOUNT)).toEqual([])
  })

  it.each<[string, (draft: PolicyDraft) => unknown]>([
    ["an unknown role", (draft) => ({ ...draft, roles: [{ role_id: "crn:v1:bluemix:public:iam::::role:Viewer" }] })],
    ["no role", (draft) => ({ ...draft, roles: [] })],
    ["an attribute that can't be decided on", (draft) => ({ ...draft, resources: [{ attributes: [...(draft.resources[0]?.attributes ?? []), { name: "resourceGroupId", value: "x" }] }] })],
    ["an access group", (draft) => ({ ...draft, subjects: [{ attributes: [{ name: "access_group_id", value: "x" }] }] })],
    ["a pattern for an identity", (draft) => ({ ...draft, subjects: [{ attributes: [{ name: "iam_id", value: "*", operator: "stringMatch" }] }] })],
    ["an empty value", (draft) => ({ ...draft, subjects: [{ attributes: [{ name: "iam_id", value: "" }] }] })],
    ["a value of 1,001 characters", (draft) => ({ ...draft, subjects: [{ attributes: [{ name: "iam_id", value: "x".repeat(1001) }] }] })],
    ["no subject", (draft) => ({ ...draft, subjects: [] })],
    ["another type", (draft) => ({ ...draft, type: "superuser" })],
  ])("are no policies with %s", (_, broken) => expect(policyDraft.safeParse(broken(access("x", "Reader", {}))).success).toBe(false))
})

describe("granting", () => {
  const kms = { serviceName: "kms" }
  it.each<[string, PolicyDraft, PolicyDraft, boolean]>([
    ["a role held", access("a", "Reader", kms), access("b", "Reader", kms), true],
    ["a lower one", access("a", "Manager", kms), access("b", "Wrapper", kms), true],
    ["a higher one", access("a", "Reader", kms), access("b", "Writer", kms), false],
    ["unwrapping, by one who only wraps", access("a", "Wrapper", kms), access("b", "Reader", kms), false],
    ["KeyPurge, by a manager", access("a", "Manager", kms), access("b", "KeyPurge", kms), false],
    ["on a part of what it is held on", access("a", "Writer", kms), access("b", "Writer", { ...kms, resource: "k1" }), true],
    ["on more than it is held on", access("a", "Writer", { ...kms, resource: "k1" }), access("b", "Writer", kms), false],
    ["on something else", access("a", "Writer", { ...kms, resource: "k1" }), access("b", "Writer", { ...kms, resource: "k2" }), false],
    ["on another service", access("a", "Manager", { serviceName: "iam" }), access("b", "Reader", kms), false],
    ["on all services, held on one", access("a", "Manager", kms), access("b", "Reader", {}), false],
    ["what a pattern matches", access("a", "Writer", { ...kms, resource: "~k-*" }), access("b", "Reader", { ...kms, resource: "k-1" }), true],
    ["what it doesn't match", access("a", "Writer", { ...kms, resource: "~k-*" }), access("b", "Reader", { ...kms, resource: "l-1" }), false],
    ["the same pattern", access("a", "Writer", { ...kms, resource: "~k-*" }), access("b", "Reader", { ...kms, resource: "~k-*" }), true],
    ["another pattern", access("a", "Writer", { ...kms, resource: "~k-?" }), access("b", "Reader", { ...kms, resource: "~k-*" }), false],
    ["a pattern, held on its text", access("a", "Writer", { ...kms, resource: "*" }), access("b", "Reader", { ...kms, resource: "~*" }), false],
    ["as another identity", access("c", "Manager", kms), access("b", "Reader", kms), false],
    ["to a service", access("a", "Manager", kms), authorization({ serviceName: "cloud-object-storage" }, "Reader", kms), true],
  ])("%s", async (_, held, draft, expected) => {
    const { held: kept } = await world(held)
    expect(mayGrant(await kept.list(ACCOUNT), { iamId: "a", account: ACCOUNT }, draft)).toBe(expected)
  })
})
