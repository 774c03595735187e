import { afterEach, describe, expect, it } from "vitest"
import { httpClient } from "../shared/net/request.ts"
import { formatNotifications, parseNotifications, withEntry, withoutId } from "../shared/store/s3-notification-document.ts"
import { sameEntry, type NotificationEntry } from "../shared/store/s3-notification-entry.ts"
import { notifications } from "../shared/store/s3-notifications.ts"
import { ceph, notificationStore, refuse, type NotificationStore } from "./notify-server.ts"
import { closeServers } from "./scripted-server.ts"

afterEach(closeServers)

const bucket = "uploads"
const ours: NotificationEntry = {
  kind: "QueueConfiguration", id: "bucketseal", arn: "arn:aws:sqs:eu-west-1:123456789012:uploads",
  events: ["s3:ObjectCreated:*"], prefix: "in/",
}

// What the owners of a bucket may have set: every kind of destination, a filter, names of any kind, odd but right XML.
const theirs = {
  topic: `
  <TopicConfiguration><Id>a &amp; b</Id><Topic>arn:aws:sns:eu-west-1:123456789012:t</Topic><Event>s3:ObjectRemoved:*</Event></TopicConfiguration>`,
  queue: `<QueueConfiguration>
    <!-- <Id>bucketseal</Id> -->
    <Event>s3:ObjectCreated:Put</Event><Queue>arn:aws:sqs:eu-west-1:123456789012:q</Queue><Id><![CDATA[</Id>]]></Id>
    <Filter><S3Key><FilterRule><Name>Suffix</Name><Value>&#10;.jpg</Value></FilterRule></S3Key></Filter>
  </QueueConfiguration>`,
  lambda: `<CloudFunctionConfiguration a=">"><Id>f</Id><CloudFunction>arn:aws:lambda:eu-west-1:123456789012:function:f</CloudFunction>`
    + "<Event>s3:ObjectCreated:*</Event><Filter><S3Key><FilterRule><Name>Prefix</Name><Value>raw/</Value></FilterRule></S3Key></Filter></CloudFunctionConfiguration>",
  eventBridge: "<EventBridgeConfiguration/>",
  unknown: "\n<NextConfiguration><Id>bucketseal</Id></NextConfiguration>",
}
const open = `<?xml version="1.0" encoding="UTF-8"?>\n<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`
const close = "\n</NotificationConfiguration>\n"
const all = Object.values(theirs).join("")
const empty = `<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>`

const changed = (text: string, change: (document: NonNullable<ReturnType<typeof parseNotifications>>) => typeof document) => {
  const document = parseNotifications(text)
  if (!document) throw new Error("it could not be read")
  return formatNotifications(change(document))
}

describe("a notification configuration", () => {
  it("is read and written to the byte", () => {
    for (const text of [open + all + close, empty.replace("/>", "></NotificationConfiguration>")]) {
      expect(changed(text, (document) => document)).toBe(text)
    }
  })

  it("with an entry of ours has all others as they were, and ours behind those of its kind", () => {
    const { topic, queue, lambda, eventBridge, unknown } = theirs
    const text = changed(open + all + close, (document) => withEntry(document, ours))
    const [before = "", after = ""] = text.split(/<QueueConfiguration xmlns="[^"]*"><Id>bucketseal<\/Id>.*?<\/QueueConfiguration>/)
    expect([before, after]).toEqual([open + topic + queue, lambda + eventBridge + unknown + close])
  })

  it("has one entry of ours, however often it is set, and of whatever kind it was", () => {
    const topic = { ...ours, kind: "TopicConfiguration", arn: "arn:aws:sns:eu-west-1:123456789012:u" } as const
    const text = changed(open + all + close, (document) => withEntry(withEntry(withEntry(document, topic), ours), ours))
    expect(text).toBe(changed(open + all + close, (document) => withEntry(document, ours)))
    expect(changed(text, (document) => withoutId(document, ours.id))).toBe(open + all + close)
  })

  it("may be empty, in either form", () => {
    for (const text of [empty, empty.replace("/>", " />"), empty.replace("/>", "></NotificationConfiguration>")]) {
      const document = parseNotifications(changed(text, (one) => withEntry(one, ours)))
      expect(document?.children.map(({ entry }) => entry)).toEqual([ours])
    }
  })

  it.each(["", "<a/>", "<NotificationConfiguration>", "<NotificationConfiguration><Id></NotificationConfiguration>", "no XML"])(
    "is not taken for one where it is none: %j", (text) => expect(parseNotifications(text)).toBeUndefined(),
  )

  it("may have a root whose namespace has a prefix: ours names its own", () => {
    const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
    const text = changed(`<n:NotificationConfiguration xmlns:n="${namespace}"></n:NotificationConfiguration>`, (one) => withEntry(one, ours))
    expect(text).toContain(`<QueueConfiguration xmlns="${namespace}"><Id>bucketseal</Id>`)
  })

  it("is read in time that grows with its length, also where white space fills the root's tag", () => {
    const spaces = " ".repeat(300_000) // square: a minute, where a test has 5 seconds
    expect(parseNotifications(`<NotificationConfiguration${spaces}x=""/>`)?.head).toBe(`<NotificationConfiguration${spaces}x="">`)
  })

  it.each([
    ["<S3Key><FilterRule><Name>Suffix</Name><Value>.jpg</Value></FilterRule></S3Key>", ["suffix .jpg"]],
    ["<S3Metadata><FilterRule><Name>x-amz-meta-a</Name><Value>b</Value></FilterRule></S3Metadata>", ["S3Metadata x-amz-meta-a b"]],
    ["<S3Tags><FilterRule><Name>a</Name><Value>b</Value></FilterRule></S3Tags>", ["S3Tags a b"]],
  ])("with a filter beside the prefix is not what `set` wants: %s", (filter, otherFilters) => {
    const prefix = "<S3Key><FilterRule><Name>Prefix</Name><Value>in/</Value></FilterRule></S3Key>"
    const text = changed(empty, (document) => withEntry(document, ours)).replace(/<Filter>.*<\/Filter>/, `<Filter>${prefix}${filter}</Filter>`)
    const [entry] = parseNotifications(text)?.children.map((child) => child.entry) ?? []
    expect(entry).toEqual({ ...ours, otherFilters })
    expect(entry && sameEntry(entry, ours)).toBe(false)
  })

  it("keeps a prefix of any characters", () => {
    const entry = { ...ours, prefix: "a b/<&>\"'ü+%20\n/" }
    expect(parseNotifications(changed(empty, (document) => withEntry(document, entry)))?.children[0]?.entry).toEqual(entry)
  })
})

const notificationsAt = ({ port }: NotificationStore) => notifications({
  endpoint: `http://127.0.0.1:${port}`, region: "eu-west-1", addressing: "path", allowHttp: true,
  credentials: () => Promise.resolve({ accessKeyId: "AKID", secretAccessKey: "secret" }),
  http: httpClient({ allowHttp: true, backOff: 1 }),
}, { reads: 3, pause: 1 })

describe("a store that replaces the whole configuration", () => {
  it("is given all entries of others back, to the byte, with ours", async () => {
    const store = await notificationStore({ text: open + all + close })
    await notificationsAt(store).set(bucket, ours)
    expect(store.text()).toBe(changed(open + all + close, (document) => withEntry(document, ours)))
    expect(await notificationsAt(store).list(bucket)).toHaveLength(4)
  })

  it("is written to once, however often the same is set", async () => {
    const store = await notificationStore({ text: open + all + close })
    await notificationsAt(store).set(bucket, ours)
    await notificationsAt(store).set(bucket, ours)
    expect(store.seen("PUT")).toBe(1)
  })

  it("has one entry of ours after another destination was set", async () => {
    const store = await notificationStore({ text: open + all + close })
    const other = { ...ours, arn: `${ours.arn}-2` }
    await notificationsAt(store).set(bucket, ours)
    await notificationsAt(store).set(bucket, other)
    expect((await notificationsAt(store).list(bucket)).filter(({ id }) => id === ours.id)).toEqual([other])
  })

  it("is written to where an entry of ours has a suffix that was not asked for", async () => {
    const suffix = "<FilterRule><Name>suffix</Name><Value>.jpg</Value></FilterRule></S3Key>"
    const text = changed(open + close, (document) => withEntry(document, ours)).replace("</S3Key>", suffix)
    const store = await notificationStore({ text })
    await notificationsAt(store).set(bucket, ours)
    expect([store.seen("PUT"), await notificationsAt(store).list(bucket)]).toEqual([1, [ours]])
  })

  it("loses by clear what is ours alone, and by clear of all everything", async () => {
    const store = await notificationStore({ text: changed(open + all + close, (document) => withEntry(document, ours)) })
    expect(await notificationsAt(store).clear(bucket, ours.id)).toEqual([ours])
    expect(store.text()).toBe(open + all + close)
    expect(await notificationsAt(store).clear(bucket, ours.id)).toEqual([])
    expect(await notificationsAt(store).clear(bucket, undefined)).toHaveLength(3)
    expect(parseNotifications(store.text())?.children).toEqual([])
  })

  it("is never sent a DELETE, as that may mean the bucket; nor is one that only looks like Ceph, or serves SNS alone", async () => {
    const topics = "<ListTopicsResponse xmlns=\"https://sns.amazonaws.com/doc/2010-03-31/\"></ListTopicsResponse>"
    const looks = [
      {}, { requestId: ceph.requestId, topics: "<ListAllMyBucketsResult/>" }, { requestId: "4442587FB7D0A2F9", topics },
      { requestId: "txnotofceph", topics },
    ]
    for (const look of looks) {
      const store = await notificationStore({ text: open + all + close, ...look })
      await notificationsAt(store).set(bucket, ours)
      await notificationsAt(store).clear(bucket, ours.id)
      await notificationsAt(store).clear(bucket, undefined)
      expect(store.seen("DELETE")).toBe(0)
      expect(parseNotifications(store.text())?.children).toEqual([])
    }
  })

  it("that changes between two looks is looked at again, and the change is kept", async () => {
    const store = await notificationStore({ text: open + close })
    store.before("GET", 2, () => open + theirs.lambda + close)
    await notificationsAt(store).set(bucket, ours)
    expect((await notificationsAt(store).list(bucket)).map(({ id }) => id)).toEqual(["bucketseal", "f"])
  })

  it("that never stops changing is not written to", async () => {
    const store = await notificationStore({ text: open + close })
    for (let read = 1; read < 10; read++) store.before("GET", read, () => `${open}<!-- ${read} -->${close}`)
    await expect(notificationsAt(store).set(bucket, ours)).rejects.toMatchObject({ code: "conflict" })
    expect(store.seen("PUT")).toBe(0)
  })

  it.each([["ours", theirs.lambda], ["somebody else's", ""]])("where %s is gone right after it was written: that is said", async (whose, left) => {
    const store = await notificationStore({ text: open + theirs.lambda + close })
    const kept = whose === "ours" ? left : changed(open + close, (document) => withEntry(document, ours)).slice(open.length, -close.length)
    store.before("GET", 3, () => open + kept + close)
    const message = expect.stringMatching(/somebody else.*notify show s3:\/\/uploads.*again/) as string
    await expect(notificationsAt(store).set(bucket, ours)).rejects.toMatchObject({ code: "conflict", message })
  })

  it("that shows a change late is given time", async () => {
    const store = await notificationStore({ text: open + close })
    let written = ""
    store.before("GET", 3, (text) => ((written = text), open + close))
    store.before("GET", 4, () => written)
    await notificationsAt(store).set(bucket, ours)
    expect(store.seen("PUT")).toBe(1)
  })

  it("that does not know notifications is only asked: PUT may make a bucket there", async () => {
    const store = await notificationStore({ text: "<ListBucketResult></ListBucketResult>" })
    for (const change of [() => notificationsAt(store).set(bucket, ours), () => notificationsAt(store).clear(bucket, undefined)]) {
      const message = expect.stringMatching(/does not know bucket notifications/) as string
      await expect(change()).rejects.toMatchObject({ code: "store-refused", message })
    }
    expect([store.seen("PUT"), store.seen("DELETE")]).toEqual([0, 0])
  })

  const refusals = [
    ["GET", 404, "NoSuchBucket", "bucket-not-found", /no bucket uploads.*BUCKETSEAL_S3_ENDPOINT/],
    ["GET", 403, "AccessDenied", "forbidden", /s3:GetBucketNotification.*s3:PutBucketNotification/],
    ["PUT", 403, "AccessDenied", "forbidden", /s3:PutBucketNotification/],
    ["PUT", 400, "InvalidArgument", "store-refused", /can't send.*InvalidArgument.*lets the store send/],
    ["PUT", 404, "NoSuchKey", "not-found", /no such topic/],
    ["GET", 501, "NotImplemented", "store-refused", /refused/],
  ] as const
  it.each(refusals)("that answers %s by %i %s gets words that say what to do", async (method, status, code, expected, words) => {
    const store = await notificationStore({ text: open + all + close, answers: { [method]: refuse(status, code) } })
    const message = expect.stringMatching(words) as string
    await expect(notificationsAt(store).set(bucket, ours)).rejects.toMatchObject({ code: expected, message })
    expect(store.text()).toBe(open + all + close)
  })
})

describe("a Ceph", () => {
  it("that refuses topics is not taken for another store", async () => {
    for (const [status, code, expected] of [[405, "MethodNotAllowed", "store-refused"], [403, "AccessDenied", "forbidden"], [503, "SlowDown", "throttled"]] as const) {
      const store = await notificationStore({ text: open + all + close, requestId: ceph.requestId, answers: { POST: refuse(status, code) } })
      await expect(notificationsAt(store).set(bucket, ours)).rejects.toMatchObject({ code: expected })
      expect(store.text()).toBe(open + all + close)
    }
  })

  it("loses by DELETE one entry of an id at a time, and never all for an empty id", async () => {
    const store = await notificationStore({ text: open + all + close, ...ceph })
    await notificationsAt(store).set(bucket, { ...ours, kind: "TopicConfiguration" })
    await expect(notificationsAt(store).clear(bucket, "")).resolves.toEqual([])
    await notificationsAt(store).clear(bucket, ours.id)
    expect(store.text()).toBe(open + all + close)
    expect(store.requests().filter((line) => line.startsWith("DELETE"))).toEqual(["DELETE /uploads?notification=bucketseal"])
  })

  it("has one entry after another topic was set, though it adds what it is given", async () => {
    const store = await notificationStore({ text: open + all + close, ...ceph })
    const entry = { ...ours, kind: "TopicConfiguration" } as const
    const other = { ...entry, arn: `${ours.arn}-2` }
    for (const one of [entry, entry, other, other]) await notificationsAt(store).set(bucket, one)
    expect((await notificationsAt(store).list(bucket)).filter(({ id }) => id === ours.id)).toEqual([other])
    expect((await notificationsAt(store).list(bucket)).length).toBe(4)
  })

  const works = { ...ours, kind: "TopicConfiguration" } as const
  const typo = { ...works, arn: `${ours.arn}-typo` }
  const withWorks = changed(open + close, (document) => withEntry(document, works)).replace("in/", "in/</Value></FilterRule><FilterRule><Name>suffix</Name><Value>.jpg")

  it("that refuses a new topic keeps the entry that works", async () => {
    const store = await notificationStore({ text: withWorks, ...ceph, answers: { PUT: refuse(404, "NoSuchKey") } })
    await expect(notificationsAt(store).set(bucket, typo)).rejects.toMatchObject({ code: "not-found" })
    expect([store.seen("DELETE"), store.text()]).toEqual([0, withWorks])
  })

  it.each(["PUT 2", "DELETE 2"])("that fails at %s, after a removal, is given the former entry back with all its filters, and that is said", async (step) => {
    const store = await notificationStore({ text: withWorks, ...ceph, answers: { [step]: refuse(403, "AccessDenied") } })
    const message = expect.stringMatching(/s3:PutBucketNotification; the former entry of uploads was put back/) as string
    await expect(notificationsAt(store).set(bucket, typo)).rejects.toMatchObject({ code: "forbidden", message })
    expect(await notificationsAt(store).list(bucket)).toContainEqual({ ...works, otherFilters: ["suffix .jpg"] })
  })

  it("that does not take the former entry back either: that is said", async () => {
    const answers = { "PUT 2": refuse(403, "AccessDenied"), "PUT 3": refuse(403, "AccessDenied") }
    const store = await notificationStore({ text: withWorks, ...ceph, answers })
    const message = expect.stringMatching(/could not be put back.*nobody.*run it again/) as string
    await expect(notificationsAt(store).set(bucket, typo)).rejects.toMatchObject({ code: "forbidden", message })
  })

  it("gives its topics by pages, and all are read", async () => {
    const serves = { a: "http://a.invalid/events/x", b: "", c: "http://c.invalid:1/" }
    const store = await notificationStore({ text: open + close, ...ceph, serves })
    const topics = Object.entries(serves).map(([name, endpoint]) => ({ name, arn: `arn:aws:sns:default::${name}`, endpoint }))
    expect(await notificationsAt(store).topics()).toEqual(topics)
  })
})
