import { useState } from "react";
import { Button } from "./controls";
import { Download as Icon } from "./icons";

interface DownloadProps {
  /** What it is called for those who listen, as `Orders as CSV`. */
  label: string;
  /** The name of the file. */
  name: string;
  text(): Promise<string> | string;
  onFailed?(error: unknown): void;
}

/** Makes a file on the press and gives it to the browser. */
export function Download({ label, name, text, onFailed }: DownloadProps) {
  const [busy, setBusy] = useState(false);
  const save = async () => {
    setBusy(true);
    try {
      const url = URL.createObjectURL(new Blob([await text()], { type: "text/csv" }));
      const link = document.createElement("a");
      link.href = url;
      link.download = name;
      link.click();
      URL.revokeObjectURL(url);
    } catch (error) {
      onFailed?.(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Button small look="quiet" aria-label={label} title={label} disabled={busy} onClick={save}>
      <Icon className="size-3.5" /> CSV
    </Button>
  );
}
