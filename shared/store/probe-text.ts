/** A probe's report for people. */
import type { BucketSettings } from "../ports.ts"
import { properties, sentenceOf, type ProbeReport } from "./probe-report.ts"
import { isRefusal, removalFor, strategyFor } from "./strategy.ts"

/** One line a setting, a property, and what follows from them. */
export function reportLines(report: ProbeReport): string[] {
  const measured = report.unmeasured ?? `${report.requests} requests under ${report.prefix}`
  return [
    `s3://${report.bucket}: ${measured}`,
    ...settingLines(report.settings),
    ...properties.map((name) => `  ${marks[String(report[name])] ?? "?"} ${name}: ${sentenceOf(name, report[name])}`),
    `in place: ${writing(report, "in-place")}`,
    `as a vault: ${writing(report, "vault")}`,
    `sealed from here into a vault: ${removing(report)}`,
  ]
}

const marks: Readonly<Record<string, string>> = { true: "+", false: "-", unknown: "?" }

function settingLines({ lifecycle, owner: _, ...settings }: BucketSettings): string[] {
  const rules = lifecycle === "unknown" ? ["unknown"] : lifecycle.map(({ prefix, effect }) => `${effect} what begins with "${prefix}"`)
  return [
    ...Object.entries(settings).map(([name, value]) => `  ${name}: ${value}`),
    `  lifecycle: ${rules.length > 0 ? rules.join(", ") : "no rule"}`,
  ]
}

/** More than one PUT takes, whose limit is 5 GiB. */
const LARGE = 2 ** 40

function writing(report: ProbeReport, mode: "in-place" | "vault"): string {
  const [small, large] = [strategyFor(report, mode, 0), strategyFor(report, mode, LARGE)]
  if (isRefusal(small)) return `no: ${small.because} (${small.refused})`
  const removal = small.removeSource === "version" ? ", then the source's version is deleted" : ""
  return isRefusal(large) ? `yes, up to 5 GiB${removal}; larger objects are parked: ${large.because} (${large.refused})` : `yes${removal}`
}

function removing(report: ProbeReport): string {
  const removal = removalFor(report)
  if (isRefusal(removal)) return `no: ${removal.because} (${removal.refused})`
  if (removal === "keep") return "yes, but the sources stay: no deletion is safe"
  return removal === "version" ? "yes, and the sources' versions are deleted" : "yes, and the sources are deleted under If-Match"
}
