import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/around.ts"],
    maxWorkers: 3, // of two cores: half of what a file takes is waiting for processes and stores
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
