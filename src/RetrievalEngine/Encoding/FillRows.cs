using System;

namespace RetrievalEngine.Encoding;

/// <summary>Puts vectors from row <paramref name="firstRow"/> on into <paramref name="rows"/> [count, dimensions].</summary>
public delegate void FillRows(int firstRow, Span<float> rows);
