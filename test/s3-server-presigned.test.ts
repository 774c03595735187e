import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { presign } from "../shared/net/sigv4.ts"
import { credentials, openEndpoint, region, send, type RawRequest, type TestEndpoint } from "./s3-endpoint.ts"
import { checksumOf } from "./s3-framing.ts"

let endpoint: TestEndpoint
beforeAll(async () => {
  endpoint = await openEndpoint()
  await send(endpoint.server, { method: "PUT", target: "/raw" })
})
afterAll(() => endpoint.close())

const hello = Buffer.from("hello, world")
const ask = (raw: RawRequest) => send(endpoint.server, raw)
const text = async (target: string) => (await ask({ method: "GET", target })).body

describe("presigned requests", () => {
  const url = (method: string, target: string, now = Date.now(), more = {}) => {
    const [path = "", query = ""] = target.split("?", 2)
    const headers = [["host", new URL(endpoint.server.url).host]] as const
    const signing = { credentials, region, service: "s3", now, payloadHash: "UNSIGNED-PAYLOAD" }
    const options = { ...signing, expires: 60, ...more }
    return `${path}?${presign({ method, path, query, headers }, options)}`
  }
  const fetched = (method: string, target: string, body?: Buffer) =>
    ask({ method, target, credentials: undefined, ...(body && { body }) })

  it("put and get without a header, and set headers of the answer", async () => {
    const hoisted = "x-amz-meta-a=b&x-amz-checksum-crc32=AAAAAA%3D%3D"
    expect((await fetched("PUT", url("PUT", `/raw/signed?${hoisted}`), hello)).status).toBe(200)
    const answer = await fetched("GET", url("GET", "/raw/signed?response-content-type=text%2Fx"))
    expect(answer.body).toBe("hello, world")
    expect(answer.headers).toMatchObject({ "content-type": "text/x", "x-amz-meta-a": "b" })
    await fetched("PUT", url("PUT", "/raw/signed?X-Amz-Meta-A=capitals"), hello)
    expect((await fetched("HEAD", url("HEAD", "/raw/signed"))).headers["x-amz-meta-a"]).toBe("capitals")
  })

  it("are refused when tampered with, expired, or of another method", async () => {
    const good = url("GET", "/raw/signed?response-content-type=text%2Fx")
    const changes = [["signed?", "other?"], ["text%2Fx", "text%2Fy"], ["Expires=60", "Expires=600"]] as const
    for (const [from, to] of changes) {
      expect((await fetched("GET", good.replace(from, to))).code).toBe("SignatureDoesNotMatch")
    }
    expect((await fetched("DELETE", good)).code).toBe("SignatureDoesNotMatch")
    expect((await fetched("GET", url("GET", "/raw/signed", Date.now() - 61_000))).code).toBe("AccessDenied")
    expect(await text("/raw/signed")).toBe("hello, world")
  })

  it("do what every verb does", async () => {
    const signed = (method: string, target: string, body?: Buffer) => fetched(method, url(method, target), body)
    const body = Buffer.from("<Delete><Object><Key>copy</Key></Object></Delete>")
    const checked = { body, headers: { "content-md5": checksumOf("md5", body) } }
    expect((await signed("PUT", "/signed-bucket")).status).toBe(200)
    expect((await signed("PUT", "/signed-bucket/k", hello)).status).toBe(200)
    expect((await signed("HEAD", "/signed-bucket/k")).status).toBe(200)
    expect((await signed("GET", "/signed-bucket?list-type=2")).body).toContain("<Key>k</Key>")
    expect((await signed("PUT", "/signed-bucket/copy?x-amz-copy-source=signed-bucket%2Fk")).status).toBe(200)
    expect((await signed("POST", "/signed-bucket/mp?uploads")).body).toContain("<UploadId>")
    const target = url("POST", "/signed-bucket?delete")
    const removed = await ask({ method: "POST", target, credentials: undefined, ...checked })
    expect(removed.body).toContain("<Deleted><Key>copy</Key></Deleted>")
    expect((await signed("DELETE", "/signed-bucket/k")).status).toBe(204)
    expect((await signed("DELETE", "/signed-bucket")).status).toBe(204)
  })

  it("hold for seven days at most, and not before their time", async () => {
    await fetched("PUT", url("PUT", "/raw/signed"), hello)
    const week = 7 * 24 * 3600
    const aged = (expires: number, age: number) =>
      fetched("GET", url("GET", "/raw/signed", Date.now() - age * 1000, { expires }))
    expect((await aged(week, week - 60)).status).toBe(200)
    expect((await aged(week, week + 60)).code).toBe("AccessDenied")
    expect((await aged(week + 1, 0)).code).toBe("AuthorizationQueryParametersError")
    expect((await aged(0, 0)).code).toBe("AuthorizationQueryParametersError")
    expect((await aged(60, -1000)).code).toBe("AccessDenied")
  })

  it("for another region are told the right one", async () => {
    const answer = await fetched("GET", url("GET", "/raw/signed", Date.now(), { region: "eu-west-1" }))
    expect([answer.status, answer.code]).toEqual([400, "AuthorizationQueryParametersError"])
    expect(answer.body).toContain(`<Region>${region}</Region>`)
  })
})
