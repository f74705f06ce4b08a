import { Select } from "../../ui/controls";
import { useBooks } from "./books-query";

/** Whose book an order is for; nothing where the account has but one. */
export function BookChoice({
  accountId,
  value,
  onChange,
}: {
  accountId: string;
  value: string;
  onChange(bookId: string): void;
}) {
  const books = useBooks(accountId).data?.items.filter((one) => one.closed_at === null) ?? [];
  if (books.length < 2) return null;
  return (
    <Select label="Book" value={value} onChange={(event) => onChange(event.target.value)}>
      <option value="">As the desk chooses</option>
      {books.map((book) => (
        <option key={book.id} value={book.id ?? ""}>
          {book.name}
        </option>
      ))}
    </Select>
  );
}
