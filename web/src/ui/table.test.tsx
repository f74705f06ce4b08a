// @vitest-environment jsdom
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import { type Column, Table } from "./table";

interface Row {
  name: string;
  worth: string;
}

const columns: Column<Row>[] = [
  { id: "name", header: "Name", cell: (row) => row.name },
  { id: "worth", header: "Worth", cell: (row) => row.worth, sort: (row) => Number(row.worth) },
];
const rows = ["9", "100", "20"].map((worth) => ({ name: `n${worth}`, worth }));

const show = (given: readonly Row[]) =>
  render(
    <Table label="Worths" columns={columns} rows={given} rowId={(row) => row.name} empty="None." />,
  );
const names = () =>
  screen
    .getAllByRole("row")
    .slice(1)
    .map((row) => row.firstChild?.textContent);

afterEach(cleanup);

describe("a table", () => {
  it("keeps the order it is given until a header is pressed", () => {
    show(rows);
    expect(names()).toEqual(["n9", "n100", "n20"]);
  });

  it("sorts numbers as numbers, says how, and back", () => {
    show(rows);
    const header = screen.getByRole("button", { name: "Worth" });
    fireEvent.click(header);
    expect(names()).toEqual(["n100", "n20", "n9"]);
    expect(header.closest("th")?.getAttribute("aria-sort")).toBe("descending");
    fireEvent.click(header);
    expect(names()).toEqual(["n9", "n20", "n100"]);
    expect(header.closest("th")?.getAttribute("aria-sort")).toBe("ascending");
  });

  it("sorts only by columns that can be sorted", () => {
    show(rows);
    expect(screen.queryByRole("button", { name: "Name" })).toBeNull();
  });

  it("says that it is empty", () => {
    show([]);
    expect(screen.getByText("None.")).toBeTruthy();
  });

  it("does not draw ten thousand rows", () => {
    show(Array.from({ length: 10_000 }, (_, i) => ({ name: `n${i}`, worth: String(i) })));
    expect(screen.getAllByRole("row").length).toBeLessThan(100);
    expect(screen.getByRole("table").getAttribute("aria-rowcount")).toBe("10001");
  });
});
