import { Failure } from "../errors.ts"
import { readBody } from "../net/answer-body.ts"
import type { HttpResponse } from "../net/request.ts"
import type { WriteCondition } from "../ports.ts"
import { maxXml } from "./s3-call.ts"
import { writeFailure } from "./s3-refusal.ts"
import { parseXml, textOf, type XmlElement } from "./xml.ts"

/**
 * The document of an answer that S3 begins with 200 while it still works: what failed then stands in the body (S3
 * reference, CompleteMultipartUpload, CopyObject). Throws what it says; `unavailable` where it says neither.
 */
export async function lateDocument(
  response: HttpResponse, root: string, condition: WriteCondition | undefined,
): Promise<XmlElement> {
  const document = parseXml((await readBody(response.body, maxXml)).toString())
  if (document?.root === root) return document.element
  if (document?.root === "Error") {
    const code = textOf(document.element, "Code") ?? ""
    throw writeFailure({ status: 500, code, headers: response.headers, region: undefined }, condition)
  }
  throw new Failure("unavailable", "the store did not say whether the write was done", { root: document?.root })
}
