using RetrievalEngine.Compute;

namespace RetrievalEngine.Search;

/// <summary>Rows that lie together.</summary>
/// <param name="Rows">[rows, dimensions] of a float type or I8.</param>
/// <param name="Scales">F32 [rows] for rows of I8, else none.</param>
public readonly record struct VectorShard(Tensor Rows, Tensor Scales = default);
