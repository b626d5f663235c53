namespace RetrievalEngine.Data;

/// <summary>Two sentences and how alike people found them.</summary>
/// <param name="First">One sentence.</param>
/// <param name="Second">The other.</param>
/// <param name="Score">Higher is more alike; the scale is the file's.</param>
public readonly record struct SentencePair(string First, string Second, double Score);
