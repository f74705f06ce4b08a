import type { ReactNode } from "react";

interface IconProps {
  className?: string;
}

/** Our own few icons, drawn on 16 by 16. Always beside words, so hidden from those who listen. */
function Glyph({ className = "size-4", children }: IconProps & { children: ReactNode }) {
  return (
    <svg
      aria-hidden="true"
      className={`shrink-0 ${className}`}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      {children}
    </svg>
  );
}

export const Check = (props: IconProps) => (
  <Glyph {...props}>
    <path d="M3 8.5 6.500 12 13 4.500" />
  </Glyph>
);
export const Cross = (props: IconProps) => (
  <Glyph {...props}>
    <path d="m4 4 8 8M12 4l-8 8" />
  </Glyph>
);
export const ChevronDown = (props: IconProps) => (
  <Glyph {...props}>
    <path d="m4 6 4 4 4-4" />
  </Glyph>
);
export const ChevronRight = (props: IconProps) => (
  <Glyph {...props}>
    <path d="m6 4 4 4-4 4" />
  </Glyph>
);
export const ArrowUp = (props: IconProps) => (
  <Glyph {...props}>
    <path d="M8 13V3M4 7l4-4 4 4" />
  </Glyph>
);
export const ArrowDown = (props: IconProps) => (
  <Glyph {...props}>
    <path d="M8 3v10M4 9l4 4 4-4" />
  </Glyph>
);
export const Warning = (props: IconProps) => (
  <Glyph {...props}>
    <path d="M8 2.200 14.500 13.500h-13zM8 6.500v3M8 11.600v.1" />
  </Glyph>
);
export const Sun = (props: IconProps) => (
  <Glyph {...props}>
    <circle cx="8" cy="8" r="2.750" />
    <path d="M8 1.500v1.300M8 13.200v1.300M1.500 8h1.300M13.200 8h1.300M3.400 3.400l.9.9M11.700 11.700l.9.9M12.600 3.400l-.9.9M4.300 11.700l-.9.9" />
  </Glyph>
);
export const Moon = (props: IconProps) => (
  <Glyph {...props}>
    <path d="M13.300 9.700A5.700 5.700 0 0 1 6.300 2.700a5.700 5.700 0 1 0 7 7z" />
  </Glyph>
);
export const Person = (props: IconProps) => (
  <Glyph {...props}>
    <circle cx="8" cy="5.200" r="2.700" />
    <path d="M2.800 13.800c.6-2.700 2.600-4 5.200-4s4.600 1.300 5.200 4" />
  </Glyph>
);
export const People = (props: IconProps) => (
  <Glyph {...props}>
    <circle cx="6" cy="5.500" r="2.300" />
    <path d="M1.500 13.200c.4-2.300 2.200-3.600 4.500-3.600s4.100 1.300 4.500 3.600M10.700 3.400a2.300 2.300 0 0 1 0 4.200M12.300 9.900c1.200.5 2 1.700 2.200 3.300" />
  </Glyph>
);
export const Candles = (props: IconProps) => (
  <Glyph {...props}>
    <path d="M4.500 1.800v2.400M4.500 10.500v3M11.500 3v2.500M11.500 11.800v2.400M2.800 4.200h3.400v6.300H2.800zM9.800 5.500h3.400v6.300H9.800z" />
  </Glyph>
);
export const List = (props: IconProps) => (
  <Glyph {...props}>
    <path d="M5.500 4h8M5.500 8h8M5.500 12h8M2.500 4h.1M2.500 8h.1M2.500 12h.1" />
  </Glyph>
);
export const Shield = (props: IconProps) => (
  <Glyph {...props}>
    <path d="M8 1.800 13 3.500v4c0 3.200-2 5.500-5 6.700-3-1.200-5-3.500-5-6.700v-4z" />
  </Glyph>
);
export const Info = (props: IconProps) => (
  <Glyph {...props}>
    <circle cx="8" cy="8" r="6.200" />
    <path d="M8 7.300v3.700M8 4.900v.1" />
  </Glyph>
);
export const Copy = (props: IconProps) => (
  <Glyph {...props}>
    <path d="M5.500 5.500h8v8h-8zM10.500 5.500v-3h-8v8h3" />
  </Glyph>
);
export const Search = (props: IconProps) => (
  <Glyph {...props}>
    <circle cx="7" cy="7" r="4.500" />
    <path d="m10.500 10.500 3.500 3.500" />
  </Glyph>
);
export const Plus = (props: IconProps) => (
  <Glyph {...props}>
    <path d="M8 3v10M3 8h10" />
  </Glyph>
);

export const Download = (props: IconProps) => (
  <Glyph {...props}>
    <path d="M8 2.500v7.500M4.500 6.800 8 10.300l3.500-3.500M2.800 13.300h10.400" />
  </Glyph>
);
export const Stop = (props: IconProps) => (
  <Glyph {...props}>
    <path d="M5.500 1.800h5l3.700 3.700v5l-3.700 3.700h-5L1.800 10.500v-5zM5.500 8h5" />
  </Glyph>
);
export const Gauge = (props: IconProps) => (
  <Glyph {...props}>
    <path d="M2.300 12a6.300 6.300 0 1 1 11.400 0M8 9.500l2.800-3.500" />
  </Glyph>
);
export const Scales = (props: IconProps) => (
  <Glyph {...props}>
    <path d="M2.500 4.500h11M8 2v12M5 14h6M4.300 4.500 2.300 9a2.100 2.100 0 0 0 4 0zM11.700 4.500 9.700 9a2.100 2.100 0 0 0 4 0z" />
  </Glyph>
);
export const Books = (props: IconProps) => (
  <Glyph {...props}>
    <path d="M2.800 2.500h3v11h-3zM5.800 2.500h3v11h-3zM9.800 3.300l2.600-.7 2.300 10.200-2.700.7z" />
  </Glyph>
);
export const Growth = (props: IconProps) => (
  <Glyph {...props}>
    <path d="M2 13.500h12M2.500 10l3.500-3.500 2.500 2.500 5-5.500M10 3.500h3.500V7" />
  </Glyph>
);
export const Handshake = (props: IconProps) => (
  <Glyph {...props}>
    <path d="M5.500 8.500 7.500 10.500 13 4.500M1.800 8.300l2.700 2.700M2 14h12" />
  </Glyph>
);
export const More = (props: IconProps) => (
  <Glyph {...props}>
    <path d="M3 8h.1M8 8h.1M13 8h.1" />
  </Glyph>
);
export const Question = (props: IconProps) => (
  <Glyph {...props}>
    <path d="M8 14.200A6.200 6.200 0 1 0 8 1.800a6.200 6.200 0 0 0 0 12.400M6.300 6.300a1.800 1.800 0 1 1 2.500 1.700c-.5.2-.8.6-.8 1.100M8 11.300v.1" />
  </Glyph>
);

/** The mark of the product: three stakes and their rail. */
export function Mark({ className = "size-6" }: { className?: string }) {
  return (
    <svg aria-hidden="true" className={`shrink-0 ${className}`} viewBox="0 0 32 32">
      <g className="fill-up">
        <path d="M4 12l3-5 3 5v15H4zM13 9l3-5 3 5v18h-6zM22 12l3-5 3 5v15h-6z" />
      </g>
      <path className="fill-warn" d="M2 17h28v3H2z" />
    </svg>
  );
}
