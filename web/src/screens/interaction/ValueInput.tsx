import { Input, Select } from "~/ui";

type ValueInputProps = { isBool: boolean; value: string; onChange: (value: string) => void };

/** The value under a feedback key: yes or no, or a number. It is kept as it is typed. */
export function ValueInput({ isBool, value, onChange }: ValueInputProps) {
  if (isBool) {
    return (
      <Select aria-label="Value" value={value} onChange={(event) => onChange(event.target.value)}>
        <option value="1">yes</option>
        <option value="0">no</option>
      </Select>
    );
  }
  return (
    <Input
      type="number"
      step="any"
      aria-label="Value"
      aria-invalid={value !== "" && !isNumber(value)}
      placeholder="value"
      value={value}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}

/** Tell whether a typed text is a number. */
export function isNumber(text: string): boolean {
  return text.trim() !== "" && Number.isFinite(Number(text));
}
