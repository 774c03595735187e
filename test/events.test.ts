import { describe, expect, it } from "vitest"
import { parseUploadEvents } from "../shared/objects/events.ts"

const record = (change: object, s3: object = {}) => ({
  eventVersion: "2.1", eventSource: "aws:s3", awsRegion: "us-east-1", eventTime: "2026-11-24T05:12:36.042Z", eventName: "ObjectCreated:Put",
  s3: { s3SchemaVersion: "1.0", bucket: { name: "buck", arn: "arn:aws:s3:::buck" }, object: { key: "k", size: 5, eTag: "5d41402abc4b2a76b9719d911017c592", sequencer: "C4", ...s3 } },
  ...change,
})
const only = (delivery: unknown) => parseUploadEvents(delivery).uploads[0]

describe("upload events", () => {
  it("an AWS record gives place, size, ETag and time, and nothing else", () => {
    expect(parseUploadEvents({ Records: [record({})] })).toEqual({
      rejected: 0,
      uploads: [{ bucket: "buck", key: "k", size: 5, etag: "5d41402abc4b2a76b9719d911017c592", time: Date.parse("2026-11-24T05:12:36.042Z") }],
      ignored: 0,
    })
  })

  it.each([
    ["dir/a+b%2Bc%2520%C3%A9%22q.txt", 'dir/a b+c%20é"q.txt'], ["%F0%9F%AA%A3", "🪣"], ["a%0Ab", "a\nb"], ["..%2F..%2Fx", "../../x"], ["a//b/", "a//b/"],
  ])("an AWS key %j is form-decoded, once", (key, decoded) => expect(only({ Records: [record({}, { key })] })?.key).toBe(decoded))

  it.each(['dir/a b+c%20é"q.txt', "%2F", "a+b", "100%", "a\nb"])("a Ceph key %j is taken as it is", (key) => {
    expect(only({ Records: [record({ eventSource: "ceph:s3" }, { key })] })?.key).toBe(key)
  })

  it("Ceph's sizes as text, empty versions, and quoted ETags are understood", () => {
    const delivery = { Records: [record({ eventSource: "ceph:s3", eventName: "s3:ObjectCreated:CompleteMultipartUpload", eventTime: "" }, { size: "5242884", versionId: "", eTag: '"47693b6aafc99e607a33f321da4dc903-2"' })] }
    expect(only(delivery)).toEqual({ bucket: "buck", key: "k", size: 5_242_884, etag: "47693b6aafc99e607a33f321da4dc903-2" })
  })

  it("what is about no upload is counted, not kept", () => {
    const removed = record({ eventName: "ObjectRemoved:Delete" })
    expect(parseUploadEvents({ Records: [removed, record({})] })).toMatchObject({ uploads: [{ key: "k" }], ignored: 1 })
    expect(parseUploadEvents({ Service: "Amazon S3", Event: "s3:TestEvent", Bucket: "b" })).toEqual({ uploads: [], ignored: 1, rejected: 0 })
    expect(parseUploadEvents({ Records: [] })).toEqual({ uploads: [], ignored: 0, rejected: 0 })
  })

  it("a place may also be given plainly", () => {
    expect(only({ bucket: "buck", key: "a+b%20" })).toEqual({ bucket: "buck", key: "a+b%20" })
  })

  it.each([
    null, 1, "text", [], {}, { Records: "x" }, { Records: [null] }, { Records: [{}] }, { Records: [record({ s3: undefined })] },
    { Records: [record({}, { key: "%ff" })] }, { Records: [record({}, { key: "%" })] }, { Records: [record({}, { key: "" })] },
    { Records: [record({ eventSource: "evil:s3" })] }, { bucket: "buck" }, { bucket: "buck", key: "k", endpoint: "http://attacker" },
    { Records: [record({ s3: { bucket: { name: "../x" }, object: { key: "k" } } })] },
  ])("%j is counted as rejected", (delivery) => expect(parseUploadEvents(delivery)).toEqual({ uploads: [], ignored: 0, rejected: 1 }))

  it("one record that can't be read takes none of its delivery with it", () => {
    expect(parseUploadEvents({ Records: [record({ eventSource: "minio:s3" }), record({})] })).toMatchObject({ uploads: [{ key: "k" }], rejected: 1 })
  })

  it.each(["abc", -1, 1.5, "1e400", null])("a size of %j is no size", (size) => {
    const { uploads } = parseUploadEvents({ Records: [record({}, { size: size ?? undefined })] })
    expect(uploads[0] && "size" in uploads[0]).toBe(false)
  })
})
