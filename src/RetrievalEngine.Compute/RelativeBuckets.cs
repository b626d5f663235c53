using System;

namespace RetrievalEngine.Compute;

/// <summary>
/// T5's buckets of relative positions, bidirectional (Raffel et al. 2020; as <c>_relative_position_bucket</c> of Hugging Face): half of them for
/// keys after the query; within a half, the first half exact distances, the rest growing logarithmically up to the maximum distance.
/// </summary>
public static class RelativeBuckets
{
    /// <summary>The bucket of <paramref name="relativePosition"/> = key - query, among <paramref name="buckets"/> (even, at least 4).</summary>
    public static int Bucket(int relativePosition, int buckets, int maxDistance)
    {
        int half = buckets / 2, exact = half / 2, first = relativePosition > 0 ? half : 0;
        int distance = Math.Abs(relativePosition);
        if (distance < exact) return first + distance;
        // In float32 as the reference does it, so that distances on the border of two buckets fall into the same one.
        float logarithm = MathF.Log((float)distance / exact) / (float)Math.Log((double)maxDistance / exact);
        return first + Math.Min(exact + (int)(logarithm * (half - exact)), half - 1);
    }
}
