import react from "@vitejs/plugin-react";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const server = process.env.AFTERWORD_URL ?? "http://127.0.0.1:7400";
const passed = ["/api", "/images", "/openapi.json", "/docs", "/health", "/metrics"];

/** Of KaTeX's fonts each comes in three formats. Browsers that run the page read the smallest. */
const smallestFonts: Plugin = {
  name: "smallest-fonts",
  enforce: "pre",
  transform: (code, id) => (/katex(\.min)?\.css/.test(id) ? code.replace(/,\s*url\([^)]*\.(?:woff|ttf)\)\s*format\("[a-z]+"\)/g, "") : null),
};

export default defineConfig({
  plugins: [react(), smallestFonts],
  resolve: { alias: { "~": fileURLToPath(new URL("./src", import.meta.url)) } },
  build: {
    outDir: "../src/afterword/static",
    emptyOutDir: true,
    // Everything is a file of the server: the content security policy allows no inlined script, style or font.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
  },
  server: {
    port: 7401,
    proxy: Object.fromEntries(passed.map((path) => [path, { target: server, changeOrigin: false }])),
  },
});
