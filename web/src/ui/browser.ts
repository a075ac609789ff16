// Replaces functions that browsers deny to pages over plain HTTP from another machine, as many private networks use.

/** Return a random id, a UUID: `crypto.randomUUID` needs HTTPS. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** The message if `copyText` could not copy. */
export const NOT_COPIED = "The browser did not let it be copied. Select the text, and copy it by hand.";

/** Copy a text; tell whether it is on the clipboard. `navigator.clipboard` needs HTTPS. */
export async function copyText(text: string): Promise<boolean> {
  try {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
      return true;
    }
  } catch {
    // Permission was denied, or the page is not in front. The older way may still work.
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.readOnly = true;
  area.style.position = "fixed";
  area.style.opacity = "0";
  const before = document.activeElement;
  // Inside an open dialog or menu, because elements outside it cannot be selected.
  (before?.closest("[role=dialog], [role=menu]") ?? document.body).append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  if (before instanceof HTMLElement) before.focus();
  return isCopied;
}
