using System;

namespace RetrievalEngine.Indexing;

/// <summary>Vectors that come into an index, or out of one.</summary>
/// <param name="Name">What messages call it.</param>
/// <param name="Rows">How many.</param>
/// <param name="Dimensions">Elements of a vector.</param>
/// <param name="Id">The id of a row.</param>
/// <param name="Read">Gives its vectors.</param>
public sealed record VectorSource(string Name, long Rows, int Dimensions, Func<long, string> Id, ReadRows Read);
