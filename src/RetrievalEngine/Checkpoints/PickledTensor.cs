namespace RetrievalEngine.Checkpoints;

/// <summary>A view of a storage, in elements.</summary>
internal sealed record PickledTensor(PickledStorage Storage, long Offset, long[] Sizes, long[] Strides);
