"use strict";
// The gallery: projects the manifest's cells onto rows, columns and pages, draws the
// lines that are near the screen, and shows one picture large. All text from the
// manifest goes through textContent.
(() => {
const $ = id => document.getElementById(id);
const root = document.documentElement, view = $("view"), grid = $("grid"), box = $("box");

// el makes an element with a class and children; strings become text nodes.
const el = (tag, cls, ...kids) => {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  e.append(...kids.filter(k => k != null));
  return e;
};
const text = (id, s) => { $(id).textContent = s; };
const url = path => path.split("/").map(encodeURIComponent).join("/");
const store = (key, value) => {
  try { return value === undefined ? localStorage.getItem("comfyc-" + key) : localStorage.setItem("comfyc-" + key, value); } catch { return null; }
};

