/** Names of objects: what stores, clients and pipelines have been seen to damage, and a long one. */

const hostile = [
  "plain/", " a  b ", "a+b", "100%", "a%2Fb", "a//b", "/a", "//a", "a/../b/", "../", "./a/./b", "😀/", "Grüße/日本", "e\u0301", "a\nb",
  "a\r\tb", `<a&b>"'`, "?a=b&c#d", "a\\b", "!*'();:@&=$,[]{}|^~`", `${"s".repeat(300)}/`,
] as const

const LONGEST = 1_024 // bytes (S3 user guide, "Naming Amazon S3 objects")

/** The names that a writer owns. */
export function namesOf(writer: number, count: number): string[] {
  const names = Array.from({ length: count - 1 }, (_, index) => `${hostile[(index + writer * 7) % hostile.length] ?? ""}${writer}.${index}`)
  return [...names, `${writer}.`.padEnd(LONGEST, "l")]
}
