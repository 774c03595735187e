/** IAM's `stringMatch`: `*` stands for any characters or none, `?` for exactly one. */

/**
 * True if the whole text matches. Goes back only to the last `*`, so it takes at most pattern × text steps, whatever
 * the pattern (no regular expression is made of it, which could take exponentially many).
 */
export function matchesWildcard(pattern: string, text: string): boolean {
  const [wanted, given] = [Array.from(pattern), Array.from(text)] // by code points
  let [at, star, resume] = [0, -1, 0]
  for (let index = 0; index < given.length; ) {
    if (wanted[at] === "*") {
      star = at++
      resume = index
    } else if (at < wanted.length && (wanted[at] === "?" || wanted[at] === given[index])) {
      at++
      index++
    } else if (star >= 0) {
      at = star + 1
      index = ++resume // let the last star take one more
    } else return false
  }
  return wanted.slice(at).every((character) => character === "*")
}
