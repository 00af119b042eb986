import { PluginComponentType, registerComponent } from "@fiftyone/plugins";
import { DropPanel } from "./DropPanel.jsx";
import "./saved.js";

// The wheel over a focused number would change it: in a long form somebody who scrolls, unnoticed
document.addEventListener(
  "wheel",
  ({ target }) => {
    const form = target.closest?.('[data-cy="operators-prompt-modal"]');
    if (target.type === "number" && form?.textContent.includes("DRoP:")) target.blur();
  },
  { passive: true },
);

registerComponent({
  name: "DropPanel", // panel.py renders this name
  label: "DRoP",
  component: DropPanel,
  type: PluginComponentType.Component,
  activator: () => true,
});
