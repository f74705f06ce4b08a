import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react(), tailwindcss()],
  build: {
    target: "es2022",
    // Nothing becomes a data: URL, the policy of the page would refuse it.
    assetsInlineLimit: 0,
  },
  server: {
    // `npm run dev` beside a running desk; its certificate is its own.
    proxy: {
      "/api": { target: "https://localhost:8443", secure: false, ws: true, changeOrigin: true },
    },
  },
  test: {
    environment: "node",
    include: ["src/**/*.test.{ts,tsx}"],
    restoreMocks: true,
    // A test takes milliseconds; the machine may be busy building the desk beside it.
    testTimeout: 30_000,
  },
});
