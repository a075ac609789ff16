// Short notices at the edge of the page: what was done, or what failed.

import { Toast } from "@base-ui/react/toast";
import { ApiError } from "~/api/client";
import css from "./ui.module.css";

const toasts = Toast.createToastManager();

/** Tell the user that something was done, or show what the server refused. */
export function notify(told: string | Error, description?: string): void {
  if (typeof told === "string") {
    toasts.add({ title: told, description, timeout: 4000 });
  } else {
    const hint = told instanceof ApiError ? told.hint : undefined;
    toasts.add({ title: told.message, description: hint, type: "error", timeout: 9000, priority: "high" });
  }
}

/** Tell that something was done, and offer to undo it. Returns how to take the offer back. */
export function offerUndo(title: string, undo: () => void): () => void {
  const id = toasts.add({
    title,
    timeout: 8000,
    actionProps: {
      children: "Undo",
      onClick: () => {
        toasts.close(id);
        undo();
      },
    },
  });
  return () => toasts.close(id);
}

export function Toasts() {
  return (
    <Toast.Provider toastManager={toasts}>
      <Toast.Portal>
        <Toast.Viewport className={css.toasts}>
          <Shown />
        </Toast.Viewport>
      </Toast.Portal>
    </Toast.Provider>
  );
}

function Shown() {
  return Toast.useToastManager().toasts.map((toast) => (
    <Toast.Root key={toast.id} toast={toast} className={css.toast}>
      <Toast.Title render={<strong />} />
      <Toast.Description />
      <Toast.Action className={`${css.button} ${css.small} ${css.undo}`} />
    </Toast.Root>
  ));
}
