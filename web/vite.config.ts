import react from "@vitejs/plugin-react";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const server = process.env.AFTERWORD_URL ?? "http://127.0.0.1:7400";
const passed = ["/api", "/images", "/openapi.json", "/docs", "/health", "/metrics"];

export default defineConfig({
  plugins: [react()],
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
