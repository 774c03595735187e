import tseslint from "typescript-eslint"

/**
 * The layer table: what files in a folder may import. `repo` lists folders and files of this repository below `shared/`,
 * `outside` packages. Everything else is refused.
 */
const layers = [
  { files: ["shared/errors.ts"], repo: [], outside: [] },
  { files: ["shared/ports.ts"], repo: ["errors"], outside: [] },
  { files: ["shared/crypto/**"], repo: ["crypto/", "errors"], outside: ["node:crypto", "node:buffer"] },
  { files: ["shared/net/**"], repo: ["net/", "errors"], outside: ["node:http", "node:https", "node:net", "node:tls", "node:crypto", "node:stream", "node:timers", "node:events"] },
  {
    files: ["shared/store/**"], ignores: ["shared/store/local*.ts"],
    repo: ["store/", "net/", "ports", "errors"], outside: ["fast-xml-parser", "node:crypto", "node:stream"],
  },
  {
    files: ["shared/store/local*.ts"],
    repo: ["store/", "ports", "errors"], outside: ["lmdb", "node:fs", "node:fs/promises", "node:path", "node:crypto", "node:stream", "node:zlib"],
  },
  { files: ["shared/iam/**"], repo: ["iam/", "ports", "errors"], outside: ["jose", "node:crypto", "zod/mini"] },
  {
    files: ["shared/keys/**"], ignores: ["shared/keys/master-key-file.ts"],
    repo: ["keys/", "crypto/", "net/", "iam/crn", "ports", "errors"], outside: ["node:crypto", "zod/mini"],
  },
  { files: ["shared/keys/master-key-file.ts"], repo: ["keys/", "crypto/base64", "errors"], outside: ["node:crypto", "node:fs", "node:fs/promises", "node:path"] },
  {
    files: ["shared/objects/**"],
    repo: ["objects/", "crypto/", "keys/data-keys", "iam/crn", "ports", "errors"], outside: ["node:crypto", "node:zlib", "zod/mini"],
  },
  { files: ["shared/settings.ts"], repo: ["errors"], outside: ["zod/mini", "zod/v4/locales/en.js"] },
  { files: ["shared/context.ts"], repo: ["iam/", "keys/", "objects/", "ports", "settings"], outside: [] },
  {
    files: ["shared/contexts/**"],
    repo: ["contexts/", "crypto/", "net/", "store/", "iam/", "keys/", "objects/", "runtime/log", "ports", "errors", "settings", "context"],
    outside: ["node:crypto", "zod/mini", "@aws-sdk/credential-provider-node"],
  },
  { files: ["shared/runtime/**"], ignores: ["shared/runtime/node*.ts"], repo: ["runtime/", "crypto/base64", "keys/embedded", "keys/envelope", "ports", "errors", "settings", "context"], outside: ["zod/mini", "zod/v4/core"] },
  {
    files: ["shared/runtime/node*.ts"], repo: ["runtime/", "ports", "errors", "settings", "context"],
    outside: ["hono", "@hono/node-server", "@hono/node-server/utils/response", "pino", "node:http"],
  },
]

const escape = (text) => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")

/** The rule for one row: `folder/` allows the files in it, a bare name that one file, always by relative path. */
function restriction({ files: [glob], repo, outside }) {
  const folder = /^shared\/([a-z]+)\//.exec(glob)?.[1]
  const up = folder ? "\\.\\./" : "\\./"
  const inside = repo.map((entry) => {
    if (entry === `${folder}/`) return "\\./[\\w-]+\\.ts"
    return entry.endsWith("/") ? `${up}${escape(entry)}[\\w-]+\\.ts` : `${up}${escape(entry)}\\.ts`
  })
  return only([...inside, ...outside.map(escape)], "the layer table in eslint.config.js does not allow this import")
}

function only(allowed, message) {
  return { "no-restricted-imports": ["error", { patterns: [{ regex: `^(?!(?:${allowed.join("|")})$)`, message }] }] }
}

export default tseslint.config(
  { ignores: ["dist/", "data/", "node_modules/", "bench/node_modules/"] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: { allowDefaultProject: ["eslint.config.js"] }, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "no-restricted-properties": ["error", { object: "process", property: "env", message: "only hosts read the environment" }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      "@typescript-eslint/no-confusing-void-expression": "off", // `if (…) return void f()` and arrows that call are clear
      "@typescript-eslint/no-meaningless-void-operator": "off",
      "@typescript-eslint/unbound-method": "off", // objects here are closures: no method uses `this`
      "@typescript-eslint/require-await": "off", // `async` also stands for "answers later, and throws later"
      "@typescript-eslint/no-non-null-assertion": "error",
      "@typescript-eslint/no-unused-vars": ["error", { ignoreRestSiblings: true, argsIgnorePattern: "^_" }],
      "@typescript-eslint/consistent-type-imports": "error",
    },
  },
  ...layers.map((layer) => ({ files: layer.files, ignores: layer.ignores ?? [], rules: restriction(layer) })),
  {
    files: ["functions/**"],
    rules: only(["\\.\\./shared/.+\\.ts", "zod/mini", "node:crypto"], "a function imports shared/ and zod/mini, never another function"),
  },
  {
    files: ["test/**", "bench/**", "local/**", "cli/**", "scripts/**"],
    rules: { "no-restricted-properties": "off" },
  },
  {
    files: ["test/**", "bench/**"], // vectors and answers are JSON as it comes, errors are passed on as they were caught
    rules: {
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-return": "off",
      "@typescript-eslint/only-throw-error": "off",
      "@typescript-eslint/no-dynamic-delete": "off",
      "@typescript-eslint/no-misused-spread": "off",
      "@typescript-eslint/no-extraneous-class": "off",
    },
  },
  { files: ["eslint.config.js"], ...tseslint.configs.disableTypeChecked },
)
