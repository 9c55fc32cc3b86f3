"""A network of two layers on real handwritten digits, without modules.

Run: python examples/train_by_hand.py
"""

import numpy as np

import dlcore as dl

dl.manual_seed(0)
data = dl.data.digits()
train_x = data.train_images.reshape(len(data.train_images), -1)
test_x = data.test_images.reshape(len(data.test_images), -1)

w1 = dl.Tensor(dl.randn(32, 64) * np.float32(0.2), requires_grad=True)
b1 = dl.Tensor(np.zeros(32, "float32"), requires_grad=True)
w2 = dl.Tensor(dl.randn(10, 32) * np.float32(0.2), requires_grad=True)
b2 = dl.Tensor(np.zeros(10, "float32"), requires_grad=True)
optimizer = dl.optim.Adam([w1, b1, w2, b2], lr=0.01)


def network(x):
    hidden = dl.linear(x, w1, b1, activation="relu")
    return dl.linear(hidden, w2, b2)


for epoch in range(15):
    total = 0.0
    for batch in np.array_split(dl.randperm(len(train_x)), 23):
        scores = network(train_x[batch])
        loss = dl.cross_entropy(scores, data.train_labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    print(f"epoch {epoch + 1:2}  loss {total / len(train_x):.4f}")

correct = dl.argmax(network(test_x), dim=1).data == data.test_labels
print(f"test accuracy: {correct.mean():.4f}")
