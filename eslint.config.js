import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

/** Deleting `src/legacy/` must leave a working product, so the new path may not know the old one. */
const newPathOnly = {
  patterns: [
    {
      regex: "(^|/)legacy(/|\\.js$|$)",
      message: "src/tokens and src/store must work when src/legacy is deleted.",
    },
    {
      regex: "(^|/)((session-)?bridge(-parts)?|serve)(\\.js)?$",
      message: "src/tokens and src/store must work when the bridge is deleted.",
    },
    { regex: "^koa-session", message: "src/tokens and src/store work without koa-session." },
  ],
};

export default defineConfig(
  globalIgnores(["dist/", ".bench-*/", "coverage/", "test/fixtures/"]),
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: ["error", "always", { null: "ignore" }],
      "no-console": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": "error",
      "@typescript-eslint/no-non-null-assertion": "error",
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { considerDefaultExhaustiveForUnions: true },
      ],
      // An async function without await keeps an interface's promise.
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "@typescript-eslint/no-unused-vars": [
        "error",
        { argsIgnorePattern: "^_", varsIgnorePattern: "^_", ignoreRestSiblings: true },
      ],
    },
  },
  {
    files: ["src/legacy/*.ts"],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              regex: "/sources/",
              message:
                "What all old systems share knows none of them: change the contract in source.ts.",
            },
          ],
        },
      ],
    },
  },
  {
    files: ["src/tokens/**", "src/store/**"],
    rules: {
      "no-restricted-imports": ["error", newPathOnly],
      "no-restricted-syntax": [
        "error",
        {
          selector:
            "ImportExpression[source.value=/(^|\\/)(legacy|bridge)(\\/|\\.js$|$)|^koa-session/]",
          message: "src/tokens and src/store must work when the old path is deleted.",
        },
      ],
    },
  },
  {
    // Programs that talk to a person in a terminal.
    files: ["src/cli/**", "demo/**", "examples/**", "bench/**"],
    rules: { "no-console": "off" },
  },
  {
    // Tests look into JSON bodies and database rows, and pass deliberate nonsense.
    files: ["test/**", "demo/**", "bench/**"],
    rules: {
      "@typescript-eslint/no-explicit-any": "off",
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-call": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-return": "off",
    },
  },
);
