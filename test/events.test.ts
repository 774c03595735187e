import { describe, expect, it } from "vitest"
import { parseUploadEvents } from "../shared/objects/events.ts"
import { goldenEvents, isBinary } from "./golden-events.ts"

const record = (change: object, object: object = {}) => ({
  eventSource: "aws:s3", eventName: "ObjectCreated:Put", s3: { bucket: { name: "photos" }, object: { key: "k", ...object } }, ...change,
})

describe("upload events", () => {
  it.each(goldenEvents.filter(([, golden]) => !isBinary(golden)))(
    "%s: what is in the delivery is understood, or refused by that reason", (_, { delivery, expected }) => {
      const { uploads, ignored, rejected } = parseUploadEvents(delivery)
      expect({ uploads, ignored, rejected: rejected.map(({ reason }) => reason) }).toEqual(expected)
    })

  it.each(["aws", "sqs", "sns", "eventbridge", "ceph", "minio", "cos", "r2", "b2", "plain"])(
    "there are golden files of %s with hostile keys, and with what is refused", (source) => {
      const names = goldenEvents.map(([name]) => name).filter((name) => name.startsWith(`${source}-`))
      expect(names.some((name) => name.endsWith("-hostile-keys.json"))).toBe(true)
      expect(names.some((name) => name.includes("-rejected"))).toBe(true)
    })

  it.each([
    ["aws:s3", "a b/c"], ["minio:s3", "a b/c"], ["ceph:s3", "a+b%2Fc"],
  ])("the same key in a record of %s is %j: it is the source that decides how a key is decoded", (eventSource, key) => {
    expect(parseUploadEvents({ Records: [record({ eventSource }, { key: "a+b%2Fc" })] }).uploads).toEqual([{ bucket: "photos", key }])
  })

  it("a key is decoded once", () => {
    expect(parseUploadEvents({ Records: [record({}, { key: "a%252Fb%2B" })] }).uploads).toEqual([{ bucket: "photos", key: "a%2Fb+" }])
  })

  it("a rejected record is given back out of its envelopes, and the reason holds nothing of it", () => {
    const bad = record({}, { key: "%" })
    const delivery = { Records: [{ eventSource: "aws:sqs", body: JSON.stringify({ Records: [bad, record({})] }) }] }
    expect(parseUploadEvents(delivery).rejected).toEqual([{ record: bad, reason: "key is not form-encoded" }])
  })

  it("reads every record of a delivery, however many there are", () => {
    const { uploads } = parseUploadEvents({ Records: Array.from({ length: 20_000 }, () => record({})) })
    expect(uploads).toHaveLength(20_000)
  })

  it("nesting of any depth is refused, in lists and in texts", () => {
    const lists = JSON.parse("[".repeat(100_000) + "]".repeat(100_000)) as unknown
    expect(parseUploadEvents(lists).rejected.map(({ reason }) => reason)).toEqual(["wrapped too deeply"])
    let text = "{}"
    for (let depth = 0; depth < 12; depth++) text = JSON.stringify({ Type: "Notification", Message: text })
    expect(parseUploadEvents(JSON.parse(text)).rejected.map(({ reason }) => reason)).toEqual(["wrapped too deeply"])
  })
})
