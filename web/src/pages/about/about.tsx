import { Panel } from "../../ui/surface";

const LINK = "text-accent underline underline-offset-2";

/** What this is, where its documents are, and whom the chart is owed to. */
export function About() {
  return (
    <div className="mx-auto flex max-w-3xl flex-col gap-3">
      <Panel title={<h1>About Stockade</h1>}>
        <div className="flex flex-col gap-3 p-4 text-sm leading-6">
          <p>
            Stockade is a self-hosted trading desk. Every order passes one gateway: permission,
            risk, journal, broker. Every act leaves a row in an audit log that cannot be altered
            unnoticed.
          </p>
          <ul className="flex flex-wrap gap-x-6 gap-y-2">
            <li>
              <a className={LINK} href="/api/docs">
                API documentation
              </a>
            </li>
            <li>
              <a className={LINK} href="/api/v1/openapi.json">
                OpenAPI description
              </a>
            </li>
            <li>
              <a className={LINK} href="/api/docs/problems">
                Problems and what to do about them
              </a>
            </li>
          </ul>
          <p className="text-muted">
            Free software under the Apache License 2.0 or the MIT license.
          </p>
        </div>
      </Panel>
      <Panel title="Charts">
        <div className="flex flex-col gap-2 p-4 text-sm leading-6">
          <p>
            TradingView Lightweight Charts™
            <br />
            Copyright © 2025 TradingView, Inc.{" "}
            <a className={LINK} href="https://www.tradingview.com/" rel="noreferrer">
              https://www.tradingview.com/
            </a>
          </p>
          <p className="text-muted">
            The charts are drawn with Lightweight Charts by TradingView, under the Apache License
            2.0.
          </p>
        </div>
      </Panel>
    </div>
  );
}
