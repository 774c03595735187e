/**
 * The topics of a Ceph RGW: SNS calls (SNS API reference) on the S3 endpoint, with the same keys. They are signed for
 * the service `s3`: RGW derives the key from the scope that the signature names, `sns` or `s3` alike.
 */
import { Failure } from "../errors.ts"
import { discard, readBody } from "../net/answer-body.ts"
import { maxXml, type SendCall } from "./s3-call.ts"
import { failureOf } from "./s3-refusal.ts"
import { childrenOf, parseXml, textOf, type XmlElement } from "./xml.ts"

// Ceph's transaction ids: `tx`, 21 hex digits, the time, an instance, the zone.
const transactionId = /^tx[0-9a-f]{21}-[0-9a-f]+-[0-9a-f]+-/

/**
 * Whether the store is a Ceph RGW that serves topics: its request ids and its answer to ListTopics both say so. Only then
 * does it know `?notification` as a sub-resource of DELETE: to a store that does not, that may mean the bucket itself.
 * Throws `forbidden` and `store-refused` where it is a Ceph that refuses topics, `unavailable` where nobody can tell.
 */
export async function servesTopics(send: SendCall): Promise<boolean> {
  const answer = await send(call("ListTopics", {}))
  const { headers } = answer.refusal ?? answer.response
  const isCeph = transactionId.test(String(headers["x-amz-request-id"] ?? ""))
  if (!answer.refusal) {
    const document = parseXml((await readBody(answer.response.body, maxXml)).toString())
    return isCeph && document?.root === "ListTopicsResponse"
  }
  const failure = failureOf(answer.refusal)
  if (failure.code === "unavailable" || failure.code === "throttled") throw failure
  if (!isCeph) return false
  if (failure.code === "forbidden") throw failure
  const words = "this Ceph serves no topics: its setting rgw_enable_apis must have `notifications` (older releases: `pubsub`)"
  throw new Failure("store-refused", words, failure.cause)
}

/** A topic, and the address that it posts to: empty if it has none. */
export interface Topic {
  readonly name: string
  readonly arn: string
  readonly endpoint: string
}

/** All topics that the credentials may see. Newer releases give
 *  them in pages of 100. */
export async function listTopics(send: SendCall): Promise<readonly Topic[]> {
  const topics: Topic[] = []
  const seen = new Set<string>()
  for (let token: string | undefined = ""; token !== undefined && !seen.has(token);) {
    seen.add(token)
    const answer = await send(call("ListTopics", token === "" ? {} : { NextToken: token }))
    if (answer.refusal) throw failureOf(answer.refusal)
    const element = parseXml((await readBody(answer.response.body, maxXml)).toString())?.element ?? ""
    const [list = ""] = childrenOf(element, "ListTopicsResult").flatMap((result) => childrenOf(result, "Topics"))
    topics.push(...childrenOf(list, "member").map(asTopic))
    token = textOf(element, "NextToken")
  }
  return topics
}

const asTopic = (member: XmlElement): Topic => ({
  name: textOf(member, "Name") ?? "", arn: textOf(member, "TopicArn") ?? "", endpoint: endpointOf(member),
})

function endpointOf(topic: XmlElement): string {
  const [endpoint = ""] = childrenOf(topic, "EndPoint")
  return textOf(endpoint, "EndpointAddress") ?? ""
}

/** Makes a topic that keeps events until `endpoint` has taken them; one of that name is changed. Gives its ARN. Events
 *  that wait in it go where it pointed when they happened. */
export async function createTopic(send: SendCall, name: string, endpoint: string): Promise<string> {
  const answer = await send(call("CreateTopic", {
    Name: name,
    "Attributes.entry.1.key": "push-endpoint", "Attributes.entry.1.value": endpoint,
    "Attributes.entry.2.key": "persistent", "Attributes.entry.2.value": "true",
  }))
  if (answer.refusal) throw failureOf(answer.refusal)
  const document = parseXml((await readBody(answer.response.body, maxXml)).toString())
  const [result = ""] = childrenOf(document?.element ?? "", "CreateTopicResult")
  const arn = textOf(result, "TopicArn")
  if (arn === undefined) throw new Failure("store-refused", "the store made no topic that it could name")
  return arn
}

/** Where a topic's events go to, empty if nowhere; `undefined` if there is no such topic. */
export async function topicEndpoint(send: SendCall, arn: string): Promise<string | undefined> {
  const answer = await send(call("GetTopic", { TopicArn: arn }))
  if (answer.refusal) {
    if (answer.refusal.status === 404) return undefined
    throw failureOf(answer.refusal)
  }
  const document = parseXml((await readBody(answer.response.body, maxXml)).toString())
  const [topic = ""] = childrenOf(document?.element ?? "", "GetTopicResult").flatMap((result) => childrenOf(result, "Topic"))
  return endpointOf(topic)
}

/** Removes a topic, and the events that wait in it; one that is gone is fine. */
export async function deleteTopic(send: SendCall, arn: string): Promise<void> {
  const answer = await send(call("DeleteTopic", { TopicArn: arn }))
  if (!answer.refusal) return discard(answer.response.body)
  if (answer.refusal.status !== 404) throw failureOf(answer.refusal)
}

// Each call may be sent twice: it leaves things as once does.
function call(action: string, parameters: Readonly<Record<string, string>>) {
  const form = new URLSearchParams({ Action: action, Version: "2010-03-31", ...parameters })
  return {
    method: "POST", repeatable: true, body: Buffer.from(form.toString()),
    headers: [["content-type", "application/x-www-form-urlencoded"]],
  } as const
}
