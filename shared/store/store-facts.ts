/** What a registration keeps of a probe. */
import { matchFormOf, type ProbeReport } from "./probe-report.ts"
import { completesConditionally, isRefusal, removalFor, strategyFor } from "./strategy.ts"

/** What is decided of a bucket for one use: facts to go by, or why not. `measured`: whether the store did something wrong, or
 *  could not be asked at all. */
export function judged(report: ProbeReport, use: "in-place" | "vault" | "source") {
  const small = use === "source" ? removalFor(report) : strategyFor(report, use, 0)
  if (isRefusal(small)) return { refused: small.because, measured: small.because !== report.unmeasured }
  const { versioning, etagIsMd5, partEtagIsMd5, reportsTagCount, staleDeleteRefused, rightDeleteAccepted } = report
  if (versioning === "unknown") throw new Error("a bucket was found safe of which it isn't known whether it keeps versions")
  return {
    facts: {
      matchForm: matchFormOf(report) ?? "quoted", // where it matters there is one
      etagIsMd5: etagIsMd5 === true && partEtagIsMd5 === true, reportsTagCount: reportsTagCount === true, versioning,
      conditionalComplete: completesConditionally(report),
      conditionalDelete: staleDeleteRefused === true && rightDeleteAccepted === true,
      removeSource: typeof small === "string" ? small : small.removeSource,
      refusesWrongChecksum: report.checksumRefused === true,
      refusesWrongStreamChecksum: report.streamChecksumRefused === true,
    },
  }
}
