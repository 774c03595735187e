/** Ways of doing one thing, measured against each other in interleaved rounds: what else the machine does hits them all. */

/** One measurement: seconds on the clock, and CPU seconds of all threads of this process, the garbage collector's too. */
export interface Sample {
  readonly seconds: number
  readonly cpu: number
}

/** Measures one job. What lies about from before is collected first, so that no way pays for another's garbage. */
export async function timed(job: () => unknown): Promise<Sample> {
  globalThis.gc?.() // there with --expose-gc, which run.ts gives
  const cpuBefore = process.cpuUsage()
  const before = process.hrtime.bigint()
  await job()
  const seconds = Number(process.hrtime.bigint() - before) / 1e9
  const { user, system } = process.cpuUsage(cpuBefore)
  return { seconds, cpu: (user + system) / 1e6 }
}

/** Runs every way once a round, each round from another one on, and gives what they gave, by way and round. A first round
 *  that warms up is not counted. ROUNDS in the environment takes the place of `rounds`. */
export async function interleaved<Way extends string, Result>(
  rounds: number,
  ways: Readonly<Record<Way, () => Promise<Result>>>,
): Promise<Record<Way, readonly Result[]>> {
  const names = Object.keys(ways) as Way[] // the record has no other keys
  const results = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Way, Result[]> // one a name
  const wanted = Number(process.env["ROUNDS"] ?? rounds)
  for (let round = 0; round <= wanted; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round) % names.length]
      if (name === undefined) continue
      const result = await ways[name]()
      if (round > 0) results[name].push(result)
    }
    process.stderr.write(`round ${round} of ${wanted}\n`)
  }
  return results
}

/** The middle value, or the mean of the two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.slice(Math.floor((sorted.length - 1) / 2), Math.floor(sorted.length / 2) + 1)
  return middle.reduce((sum, value) => sum + value, 0) / middle.length
}

/** One measure against another, round by round. */
export function ratios<Result>(
  ours: readonly Result[], theirs: readonly Result[], measure: (result: Result) => number,
): readonly number[] {
  return ours.flatMap((own, round) => {
    const other = theirs[round]
    return other === undefined ? [] : [measure(own) / measure(other)]
  })
}
