/** Waiting. */

/** Waits for so many milliseconds; less, when the signal aborts. True where it has not. */
export async function pause(milliseconds: number, signal?: AbortSignal): Promise<boolean> {
  if (signal?.aborted) return false
  return new Promise((resolve) => {
    const timer = setTimeout(end, milliseconds)
    signal?.addEventListener("abort", end, { once: true })
    function end() {
      clearTimeout(timer)
      signal?.removeEventListener("abort", end)
      resolve(!signal?.aborted)
    }
  })
}
