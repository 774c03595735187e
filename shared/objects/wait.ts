/** Waiting. */

/** Resolves after so many milliseconds, or as soon as the signal aborts; never throws. */
export type Wait = (milliseconds: number, signal: AbortSignal) => Promise<void>

/** By the system's timers. */
export const wait: Wait = (milliseconds, signal) => new Promise((resolve) => {
  if (signal.aborted) return resolve()
  const timer = setTimeout(end, milliseconds)
  signal.addEventListener("abort", end, { once: true })
  function end() {
    clearTimeout(timer)
    signal.removeEventListener("abort", end)
    resolve()
  }
})
