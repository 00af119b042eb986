import { defineConfig } from "vite";

// The App provides these as globals. Classic JSX, for it provides no jsx-runtime.
const globals = {
  react: "React",
  "@fiftyone/operators": "__foo__",
  "@fiftyone/plugins": "__fop__",
  "@fiftyone/state": "__fos__",
  recoil: "recoil",
};

export default defineConfig({
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
