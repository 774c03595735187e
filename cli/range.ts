/** `--range` on the command line. */
import { InvalidArgumentError } from "commander"

/** Parses `from-to` (both included), `from-` or `-last`, and gives it as a Range header has it (RFC 9110, section
 *  14.1.2). */
export function byteRange(text: string): string {
  const [, from = "", to = ""] = /^(\d{0,15})-(\d{0,15})$/.exec(text) ?? []
  const isEmpty = from === "" && (to === "" || Number(to) === 0)
  const isBackwards = from !== "" && to !== "" && Number(to) < Number(from)
  if (isEmpty || isBackwards) throw new InvalidArgumentError("Write FROM-TO (bytes, both included), FROM- or -LAST.")
  return `bytes=${text}`
}
