import {
  GetBucketAclCommand, GetBucketNotificationConfigurationCommand, GetBucketRequestPaymentCommand, GetObjectAclCommand,
} from "@aws-sdk/client-s3"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { openClient, outcome, type TestClient } from "./s3-server-client.ts"

const Bucket = "settings"

let client: TestClient
beforeAll(async () => {
  client = await openClient(Bucket)
  await client.put("k", "x")
})
afterAll(() => client.close())

describe("a setting that cannot be made here is answered as where it never was", () => {
  it.each([
    ["cors", "NoSuchCORSConfiguration"],
    ["lifecycle", "NoSuchLifecycleConfiguration"],
    ["object-lock", "ObjectLockConfigurationNotFoundError"],
    ["policy", "NoSuchBucketPolicy"],
    ["replication", "ReplicationConfigurationNotFoundError"],
  ])("%s: 404 %s", async (parameter, code) => {
    const answer = await client.ask({ method: "GET", target: `/${Bucket}?${parameter}` })
    expect([answer.status, answer.code]).toEqual([404, code])
    const absent = await client.ask({ method: "GET", target: `/not-there?${parameter}` })
    expect([absent.status, absent.code]).toEqual([404, "NoSuchBucket"])
    const change = await client.ask({ method: "PUT", target: `/${Bucket}?${parameter}` })
    expect([change.status, change.code]).toEqual([501, "NotImplemented"])
  })

  it("the owner pays, and nobody is notified", async () => {
    expect((await client.s3.send(new GetBucketRequestPaymentCommand({ Bucket }))).Payer).toBe("BucketOwner")
    const notification = new GetBucketNotificationConfigurationCommand({ Bucket })
    const { $metadata: _, ...notified } = await client.s3.send(notification)
    expect(notified).toEqual({})
  })

  it("all belongs to the owner alone, bucket and object", async () => {
    const owner = { ID: "bucketseal", DisplayName: "bucketseal" }
    const Grantee = { ...owner, Type: "CanonicalUser" }
    const whole = { Owner: owner, Grants: [{ Grantee, Permission: "FULL_CONTROL" }] }
    expect(await client.s3.send(new GetBucketAclCommand({ Bucket }))).toMatchObject(whole)
    expect(await client.s3.send(new GetObjectAclCommand({ Bucket, Key: "k" }))).toMatchObject(whole)
    expect(await outcome(client.s3.send(new GetObjectAclCommand({ Bucket, Key: "absent" })))).toBe("404 NoSuchKey")
  })
})
