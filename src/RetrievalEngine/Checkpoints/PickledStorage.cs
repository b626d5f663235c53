namespace RetrievalEngine.Checkpoints;

/// <summary>A block of numbers outside the pickle.</summary>
/// <param name="Key">Its name in the file.</param>
/// <param name="StoredType">safetensors' word for the type.</param>
/// <param name="Count">Elements.</param>
internal sealed record PickledStorage(string Key, string StoredType, long Count);
