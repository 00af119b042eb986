import { defineConfig } from "vite";

// The App provides these as globals. Classic JSX, for it provides no jsx-runtime.
const globals = {
  react: "React",
  "@fiftyone/operators": "__foo__",
  "@fiftyone/plugins": "__fop__",
  "@fiftyone/state": "__fos__",
  recoil: "recoil",
};

/** The style sheet is a text in a module, in which no minifier looks for spaces. */
const dense = {
  name: "dense-css",
  transform: (code, id) => {
    if (!id.endsWith("style.js")) return null;
    const [before, css] = code.split("export const css =");
    const short = css.replace(/\s+/g, " ").replace(/ ?([{};,]) /g, "$1").replace(/ \{/g, "{").replace(/;\}/g, "}").replace(/: /g, ":");
    return { code: `${before}export const css =${short}`, map: null };
  },
};

export default defineConfig({
  plugins: [dense],
  oxc: { jsx: { runtime: "classic" } },
  build: {
    target: "es2020",
    minify: false, // the output options below say how
    lib: {
      entry: "src/index.jsx",
      name: "fiftyoneDrop",
      formats: ["umd"],
      fileName: () => "index.umd.js",
    },
    rolldownOptions: { external: Object.keys(globals), output: { globals, minify: true } },
  },
});
