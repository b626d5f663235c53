using RetrievalEngine.Compute;

namespace RetrievalEngine.Checkpoints;

/// <summary>Where one tensor lies in a file.</summary>
/// <param name="Name">As stored.</param>
/// <param name="StoredType">safetensors' word for the type: <c>F32</c>, <c>BF16</c>, <c>BOOL</c>, …; also types that cannot be computed with.</param>
/// <param name="Shape">Sizes, outermost first.</param>
/// <param name="Offset">First byte, from the beginning of the file.</param>
/// <param name="Bytes">Number of bytes.</param>
public sealed record StoredTensor(string Name, string StoredType, Shape Shape, long Offset, long Bytes);
