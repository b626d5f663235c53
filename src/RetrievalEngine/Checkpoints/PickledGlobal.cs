namespace RetrievalEngine.Checkpoints;

/// <summary>A name that may be asked for: a storage class or a way to make a tensor.</summary>
internal sealed record PickledGlobal(string Name);
