// What browsers keep from a page that came by plain HTTP from another machine. Many run Afterword so, in their own network.

/** Return a random id, a UUID: `crypto.randomUUID` is for pages that came by HTTPS alone. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** What to say where `copyText` could not copy. */
export const NOT_COPIED = "The browser did not let it be copied. Select the text, and copy it by hand.";

/** Copy a text; tell whether it is on the clipboard. `navigator.clipboard` is for pages that came by HTTPS alone. */
export async function copyText(text: string): Promise<boolean> {
  try {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
      return true;
    }
  } catch {
    // The browser asked, and was told no; or the page is not in front. The older way may still do.
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.readOnly = true;
  area.style.position = "fixed";
  area.style.opacity = "0";
  const before = document.activeElement;
  // Within an open dialog or menu: what stands beside it cannot be selected.
  (before?.closest("[role=dialog], [role=menu]") ?? document.body).append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  if (before instanceof HTMLElement) before.focus();
  return isCopied;
}
