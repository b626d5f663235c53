using System;

namespace RetrievalEngine.Indexing;

/// <summary>Puts vectors from row <paramref name="firstRow"/> on into <paramref name="rows"/> [count, dimensions].</summary>
public delegate void ReadRows(long firstRow, Span<float> rows);
