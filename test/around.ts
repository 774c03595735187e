/** Around a run of the tests: builds before it, and says behind it what was left out and how to have it run, a line each. */
import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { foreignClients } from "./foreign-clients.ts"
import { withoutRgw } from "./rgw.ts"

const missingClients = foreignClients.flatMap(({ name, missing }) => missing === undefined ? [] : [name])

const parts = [
  { there: process.env["S3_TEST_ENDPOINT"] !== undefined, line: `all tests on Ceph RGW ${withoutRgw}` },
  {
    there: missingClients.length === 0,
    line: `the tests of ${missingClients.join(", ")} were left out: apt-get install awscli rclone s3cmd python3-boto3`,
  },
  { there: hasPython(), line: "the interop tests were left out: apt-get install python3-cryptography" },
  {
    there: existsSync(new URL("../../shared/vectors/", import.meta.url)),
    line: "the published vectors (Wycheproof, SigV4) were left out: put them in ../shared/vectors/",
  },
]

function hasPython(): boolean {
  try {
    execFileSync("/usr/bin/python3", ["-c", "import cryptography"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

/** Builds what process tests start. */
export function setup(): void {
  execFileSync("npm", ["run", "--silent", "build"], { stdio: "inherit" })
}

export function teardown(): void {
  for (const { there, line } of parts) if (!there) process.stdout.write(`${line}\n`)
}
