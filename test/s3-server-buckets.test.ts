import { ListBucketsCommand, type ListBucketsCommandInput } from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { region } from "./s3-endpoint.ts"
import { openClient, type TestClient } from "./s3-server-client.ts"

let client: TestClient
beforeAll(async () => {
  client = await openClient("b-1")
  for (const name of ["a-2", "b-3", "a-1", "b-2"]) await client.createBucket(name)
})
afterAll(() => client.close())

describe("ListBuckets", () => {
  const list = (more: ListBucketsCommandInput = {}) => client.s3.send(new ListBucketsCommand(more))
  const names = async (more: ListBucketsCommandInput) => (await list(more)).Buckets?.map(({ Name }) => Name) ?? []

  it("gives all by their names where nothing is asked for, and then names no region", async () => {
    const { Buckets, ContinuationToken } = await list()
    expect(Buckets?.map(({ Name }) => Name)).toEqual(["a-1", "a-2", "b-1", "b-2", "b-3"])
    expect([Buckets?.[0]?.BucketRegion, ContinuationToken]).toEqual([undefined, undefined])
  })

  it.each([1, 2, 5])("gives each once in pages of %i, in its region", async (MaxBuckets) => {
    const seen: unknown[] = []
    let next: ListBucketsCommandInput = {}
    for (let page = 0; page < 10; page++) {
      const answer = await list({ MaxBuckets, ...next })
      seen.push(...(answer.Buckets ?? []).map(({ Name, BucketRegion }) => `${Name} ${BucketRegion}`))
      if (answer.ContinuationToken === undefined) break
      next = { ContinuationToken: answer.ContinuationToken }
    }
    expect(seen).toEqual(["a-1", "a-2", "b-1", "b-2", "b-3"].map((name) => `${name} ${region}`))
  })

  it("honours a prefix, which it repeats, and a region", async () => {
    expect((await list({ Prefix: "b-" })).Prefix).toBe("b-")
    expect(await names({ Prefix: "b-" })).toEqual(["b-1", "b-2", "b-3"])
    expect((await names({ BucketRegion: region })).length).toBe(5)
    expect(await names({ BucketRegion: "eu-west-1" })).toEqual([])
  })

  it.each(["max-buckets=0", "max-buckets=10001", "max-buckets=x", "continuation-token=*", "continuation-token="])(
    "refuses %s: InvalidArgument", async (parameter) => {
      expect((await client.ask({ method: "GET", target: `/?${parameter}` })).code).toBe("InvalidArgument")
    },
  )
})
